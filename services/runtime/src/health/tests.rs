use super::*;

async fn states(registry: &Registry, name: &str) -> <Service as Health>::WatchStream {
    let request = Request::new(HealthCheckRequest { service: name.into() });
    Service(registry.clone()).watch(request).await.expect("a watch").into_inner()
}

async fn next(stream: &mut <Service as Health>::WatchStream) -> State {
    stream.next().await.expect("a state").expect("no error").status()
}

#[tokio::test]
async fn a_watch_on_an_unknown_name_stays_open_until_it_is_known() {
    let registry = Registry::default();
    let mut watch = states(&registry, "later").await;
    assert_eq!(next(&mut watch).await, State::ServiceUnknown);
    assert_eq!(registry.get("later"), None);
    registry.set("later", State::Serving);
    assert_eq!(next(&mut watch).await, State::Serving);
    assert_eq!(registry.all(), [("later".to_owned(), State::Serving)]);
}

#[tokio::test]
async fn check_of_an_unknown_name_is_not_found_the_empty_one_too() {
    for name in ["", "nobody"] {
        let request = Request::new(HealthCheckRequest { service: name.into() });
        let status = Service(Registry::default()).check(request).await.expect_err("unknown");
        assert_eq!(status.code(), tonic::Code::NotFound);
    }
}

#[tokio::test]
async fn watched_names_are_bounded() {
    let registry = Registry::default();
    registry.set("known", State::Serving);
    let watches: Vec<_> = (1..NAMES_MAX).map(|name| registry.subscribe(&name.to_string()).expect("room")).collect();
    assert!(registry.subscribe("one more").is_none());
    drop(watches);
    assert!(registry.subscribe("one more").is_some(), "who does not watch any more takes no room");
    assert_eq!(registry.get("known"), Some(State::Serving));
}

#[tokio::test]
async fn names_are_short_in_memory_and_in_errors() {
    let (registry, name) = (Registry::default(), "x".repeat(NAME_BYTES_MAX + 1));
    assert!(registry.subscribe(&name).is_none());
    let check = Service(registry).check(Request::new(HealthCheckRequest { service: name })).await;
    assert!(check.expect_err("unknown").message().len() < 100);
}
