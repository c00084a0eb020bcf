use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&str, &str)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    pairs.iter().map(pair).collect()
}

#[test]
fn only_what_concerns_the_backend_becomes_metadata() {
    let received = map(&[
        ("host", "a"),
        ("connection", "x-hop, close"),
        ("x-hop", "1"),
        ("content-type", "application/json"),
        ("accept-language", "bg"),
        ("cookie", "a=b"),
        ("grpc-timeout", "1S"),
        ("te", "trailers"),
        ("user-agent", "curl"),
        ("authorization", "Bearer t"),
        ("x-custom", "1"),
        ("trace-bin", "AAEC"),
    ]);
    let metadata = to_metadata(&received, Some(([10, 0, 0, 1], 80).into()));
    let mut names: Vec<&str> = metadata.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "trace-bin", "user-agent", "x-custom", "x-forwarded-for"]);
    assert_eq!(metadata["x-forwarded-for"], "10.0.0.1");
}

#[test]
fn nothing_of_grpc_leaks_to_http() {
    let metadata = map(&[
        ("grpc-status", "0"),
        ("grpc-accept-encoding", "gzip"),
        ("content-type", "application/grpc"),
        ("x-a", "1"),
    ]);
    let mut headers = HeaderMap::new();
    from_metadata(&metadata, &mut headers);
    assert_eq!(headers, map(&[("x-a", "1")]));
}

#[test]
fn preferred_wait_is_read_among_other_preferences() {
    assert_eq!(preferred_wait(&map(&[("prefer", "respond-async, wait=10")])), Some(Duration::from_secs(10)));
    for (prefer, seconds) in [
        ("Wait = \"7\"", Some(7)),
        ("wait=1, wait=2", Some(1)),
        ("foo; wait=10", None),
        ("wait=x, wait=2", None),
        ("wait", None),
    ] {
        assert_eq!(preferred_wait(&map(&[("prefer", prefer)])), seconds.map(Duration::from_secs), "{prefer}");
    }
    assert_eq!(preferred_wait(&HeaderMap::new()), None);
}
