use http::{HeaderMap, Request};

use super::*;
use crate::config::Config;
use crate::fixture;

async fn headers(cors: &Cors, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
    let edge = fixture::edge(Config { cors: cors.clone(), ..fixture::config() });
    let mut request = Request::builder().method(method).uri(path).header("host", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = fixture::send(&edge, request.body(tonic::body::Body::empty()).unwrap()).await;
    (answer.status().as_u16(), answer.headers().clone())
}

fn of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

const PREFLIGHT: [(&str, &str); 2] = [("origin", "https://app.example"), ("access-control-request-method", "POST")];

#[tokio::test]
async fn without_origins_a_preflight_learns_the_methods_and_no_more() {
    let (status, headers) = headers(&Cors::default(), "OPTIONS", "/v1/echo/a", &PREFLIGHT).await;
    assert_eq!((status, of(&headers, "allow")), (204, Some("DELETE, GET, HEAD, OPTIONS, PUT")));
    assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{headers:?}");
    assert_eq!(of(&headers, "vary"), None);
}

#[tokio::test]
async fn pages_of_listed_origins_may_ask_and_read() {
    let cors = Cors { origins: vec!["https://app.example".into()], max_age_s: 7, ..Cors::default() };
    let (status, asked) = headers(&cors, "OPTIONS", "/v1/echo/a", &PREFLIGHT).await;
    assert_eq!((status, of(&asked, "access-control-allow-origin")), (204, Some("https://app.example")));
    assert_eq!(of(&asked, "access-control-allow-methods"), of(&asked, "allow"));
    assert!(of(&asked, "access-control-allow-headers").unwrap().contains("Authorization"));
    assert_eq!((of(&asked, "access-control-max-age"), of(&asked, "vary")), (Some("7"), Some("origin")));
    assert_eq!(of(&asked, "access-control-allow-credentials"), None);
    // Errors are to be read too, those of no route among them.
    for (path, expected) in [("/v1/echo/a", 200), ("/v1/echo/a?i32=x", 400), ("/nowhere", 404), ("/health", 503)] {
        let (status, read) = headers(&cors, "GET", path, &PREFLIGHT[..1]).await;
        assert_eq!(
            (status, of(&read, "access-control-allow-origin")),
            (expected, Some("https://app.example")),
            "{path}"
        );
        assert!(of(&read, "access-control-expose-headers").unwrap().contains("Link"), "{path}");
    }
}

#[tokio::test]
async fn other_pages_learn_nothing_and_caches_are_told() {
    let cors = Cors { origins: vec!["https://app.example".into()], ..Cors::default() };
    for given in [&[("origin", "https://app.example.evil")][..], &[]] {
        let (status, headers) = headers(&cors, "GET", "/v1/echo/a", given).await;
        assert_eq!(
            (status, of(&headers, "access-control-allow-origin"), of(&headers, "vary")),
            (200, None, Some("origin"))
        );
    }
    let all = Cors { origins: vec!["*".into()], ..Cors::default() };
    let (_, headers) = headers(&all, "GET", "/v1/echo/a", &[("origin", "null")]).await;
    assert_eq!((of(&headers, "access-control-allow-origin"), of(&headers, "vary")), (Some("*"), None));
}

#[tokio::test]
async fn a_preflight_is_never_a_call_though_its_route_takes_any_method() {
    let cors = Cors { origins: vec!["https://app.example".into()], ..Cors::default() };
    for (path, asked, expected) in [
        ("/v1/any/a", "PATCH", (204, Some("PATCH"))),
        ("/v1/echo/a", "PUT", (204, Some("PUT"))),
        ("/v1/echo/a", "PATCH", (204, Some("DELETE, GET, HEAD, OPTIONS, PUT"))),
        ("/nowhere", "GET", (404, None)),
    ] {
        let (status, headers) = headers(&cors, "OPTIONS", path, &[PREFLIGHT[0], (PREFLIGHT[1].0, asked)]).await;
        assert_eq!((status, of(&headers, "access-control-allow-methods")), expected, "{path} {asked}");
        assert_eq!(of(&headers, "x-backend"), None, "{path} {asked}");
    }
    // Without that header it is a call like any other, and so it is from pages that may not call.
    for asked in [&PREFLIGHT[..1], &[("origin", "https://app.example.evil"), PREFLIGHT[1]]] {
        let (status, headers) = headers(&cors, "OPTIONS", "/v1/any/a", asked).await;
        assert_eq!((status, of(&headers, "x-backend")), (200, Some("echo")));
    }
}

#[test]
fn mistakes_are_named() {
    for origin in ["app.example", "https://app.example/", "://x", "https://"] {
        let config = Config { cors: Cors { origins: vec![origin.into()], ..Cors::default() }, ..Config::default() };
        assert!(config.check().unwrap_err().to_string().contains("edge.cors.origins"), "{origin}");
    }
    let config = Config { cors: Cors { headers: vec!["a b".into()], ..Cors::default() }, ..Config::default() };
    assert!(config.check().unwrap_err().to_string().contains("edge.cors.headers"));
}
