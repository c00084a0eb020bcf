use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// How long the answer for the city `Late` takes.
const LATE: Duration = Duration::from_millis(50);
/// A timeout for tests of it.
pub(crate) const SHORT_MS: u64 = 200;

/// A provider on a socket that answers by the city asked for; `hits` counts the calls.
pub(crate) async fn provider() -> (Config, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/", listener.local_addr().expect("an address"));
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = hits.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && socket.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                let head = String::from_utf8_lossy(&head).into_owned();
                let city =
                    head.split_once("?q=").and_then(|(_, rest)| rest.split_once("%2C")).map_or("", |(city, _)| city);
                let (status, body) = answer(city, &head).await;
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = socket.write_all(head.as_bytes()).await;
                let _ = socket.write_all(body.as_bytes()).await;
            });
        }
    });
    (Config { base_url, key: Secret::new("k&y"), timeout_ms: 10_000, ..Config::default() }, hits)
}

async fn answer(city: &str, head: &str) -> (&'static str, String) {
    let conditions = |ids: &str| ("200 OK", format!(r#"{{"weather":[{ids}],"name":"x"}}"#));
    match city {
        "Leon" => conditions(r#"{"id":503,"main":"Rain"}"#),
        "Rivas" => conditions(r#"{"id":800},{"id":701}"#),
        "Managua" => conditions(r#"{"id":600}"#),
        "Corn+Island" => {
            // All of the request line is in the contract with the provider.
            assert!(head.starts_with("GET /data/2.5/weather?q=Corn+Island%2Cni&appid=k%26y HTTP/1.1\r\n"), "{head}");
            conditions(r#"{"id":501}"#)
        }
        "Late" => {
            tokio::time::sleep(LATE).await;
            conditions(r#"{"id":503}"#)
        }
        "Slow" => std::future::pending().await,
        "Garbage" => ("200 OK", "<html>".into()),
        "Other" => ("200 OK", r#"{"cod":"200"}"#.into()),
        "Huge" => ("200 OK", format!(r#"{{"weather":[{{"id":503}}],"x":"{}"}}"#, "x".repeat(BODY_BYTES_MAX))),
        "Moved" => ("302 Found\r\nlocation: /data/2.5/weather?q=Leon%2Cni", String::new()),
        "Unknown" => ("404 Not Found", String::new()),
        _ => ("500 Internal Server Error", r#"{"weather":[{"id":503}]}"#.into()),
    }
}

#[tokio::test]
async fn conditions_are_read_and_everything_else_is_an_error() {
    let (config, _) = provider().await;
    // A provider for each: the breaker is not what is tested here.
    let ask = async |city| Weather::new(&config).expect("a client").conditions("ni", city).await;
    assert_eq!(ask("Leon").await.expect("rain"), [503]);
    assert_eq!(ask("Rivas").await.expect("clear"), [800, 701]);
    assert_eq!(ask("Corn Island").await.expect("rain"), [501]);
    assert!(matches!(ask("Garbage").await, Err(Error::Unreadable(_))));
    assert!(matches!(ask("Other").await, Err(Error::Unreadable(_))));
    assert!(matches!(ask("Huge").await, Err(Error::TooLong)));
    assert!(matches!(ask("Moved").await, Err(Error::Refused(StatusCode::FOUND))));
    assert!(matches!(ask("Broken").await, Err(Error::Refused(StatusCode::INTERNAL_SERVER_ERROR))));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_waited_for() {
    let (config, _) = provider().await;
    let weather = Weather::new(&Config { timeout_ms: SHORT_MS, ..config }).expect("a client");
    assert!(matches!(weather.conditions("ni", "Slow").await, Err(Error::Slow)));
}

#[tokio::test]
async fn a_provider_that_is_unset_or_down_is_an_error_that_keeps_the_key() {
    let unset = Weather::new(&Config::default()).expect("a client");
    assert!(matches!(unset.conditions("ni", "Leon").await, Err(Error::Unset)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let down = Weather::new(&Config { base_url, key: Secret::new("s3cret"), ..Config::default() }).expect("a client");
    let error = down.conditions("ni", "Leon").await.expect_err("down");
    assert!(matches!(error, Error::Transport(_)));
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn five_failures_in_a_row_spare_the_provider() {
    let (config, hits) = provider().await;
    let weather = Weather::new(&config).expect("a client");
    for _ in 0..10 {
        weather.conditions("ni", "Unknown").await.expect_err("unknown");
    }
    weather.conditions("ni", "Leon").await.expect("a city the provider does not know does not open the breaker");
    hits.store(0, Ordering::SeqCst);
    for _ in 0..10 {
        weather.conditions("ni", "Broken").await.expect_err("broken");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 5);
    assert!(matches!(weather.conditions("ni", "Leon").await, Err(Error::Open)));
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_allowed() {
    let (config, _) = provider().await;
    let weather = Arc::new(Weather::new(&Config { calls_max: 2, ..config }).expect("a client"));
    let started = Instant::now();
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let weather = weather.clone();
            tokio::spawn(async move { weather.conditions("ni", "Late").await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("late, but in time");
    }
    assert!(started.elapsed() >= LATE * 3, "six calls, two at a time: three rounds");
}

#[test]
fn settings_that_cannot_be_used_are_refused_by_key() {
    let (url, defaults) =
        (|base_url: &str| Config { base_url: base_url.into(), ..Config::default() }, Config::default());
    for good in ["", "http://127.0.0.1:9", "https://example.org/proxy/"] {
        assert!(url(good).check().is_ok(), "{good}");
    }
    let rows = [
        (url("ftp://example.org"), "base_url"),
        (url("example.org"), "base_url"),
        (url("http://example.org/?x=1"), "base_url"),
        (url("http://example.org/#x"), "base_url"),
        (Config { timeout_ms: 0, ..defaults.clone() }, "timeout_ms"),
        (Config { timeout_ms: 10_001, ..defaults.clone() }, "timeout_ms"),
        (Config { calls_max: 0, ..defaults }, "calls_max"),
    ];
    for (config, key) in rows {
        let error = config.check().expect_err("refused").to_string();
        assert!(error.starts_with(&format!("pricing.weather.{key}: ")), "{error}");
    }
}
