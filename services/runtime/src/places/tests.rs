use super::*;

#[test]
fn a_client_gets_its_share_and_gives_it_back() {
    let places = Places::new(4, 2);
    let take = |client: &str| places.take((!client.is_empty()).then(|| client.to_owned()));
    let first = take("ana").expect("free");
    let _second = take("ana").expect("free");
    assert_eq!(take("ana").err(), Some(Full::Client));
    let others = (take("eva").expect("free"), take("").expect("free"));
    assert_eq!((take("ana").err(), take("").err()), (Some(Full::Service), Some(Full::Service)));
    drop(first);
    let _third = take("ana").expect("free again");
    drop(others);
    assert_eq!(places.taken().by_client.len(), 1, "who has none is forgotten");
}
