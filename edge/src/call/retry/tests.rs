use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use malla_runtime::link::Link;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tower::Service;

use super::*;
use crate::fixture::{SERVICE, backend, config, descriptors, in_front_of, send};
use crate::load;
use crate::{Backend, Edge};

/// Answers UNAVAILABLE a number of times, then NOT_FOUND, and counts its calls.
#[derive(Clone, Default)]
struct Flaky {
    failures: Arc<AtomicI64>,
    calls: Arc<AtomicU64>,
}

impl tonic::server::NamedService for Flaky {
    const NAME: &'static str = SERVICE;
}

impl Service<Request<Body>> for Flaky {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let failing = self.failures.fetch_sub(1, Ordering::Relaxed) > 0;
        let status = if failing { Status::unavailable("not now") } else { Status::not_found("none") };
        Box::pin(async move { Ok(status.into_http()) })
    }
}

impl Flaky {
    fn failing(&self, times: i64) -> &Self {
        self.failures.store(times, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
        self
    }

    fn backend(&self) -> Backend {
        let link = Link::alone("echo", Routes::new(self.clone()));
        Backend { link, ..backend(descriptors("echo.proto")) }
    }

    fn edge(&self) -> Edge {
        in_front_of(config(), self.backend())
    }
}

async fn get(edge: &Edge, method: &str, path: &str) -> u16 {
    let request = Request::builder().method(method).uri(path).header("host", "test").body(Body::empty()).unwrap();
    send(edge, request).await.status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_be_repeated_is_made_three_times_at_most() {
    let flaky = Flaky::default();
    let edge = flaky.edge();
    for (failures, status, calls) in [(0, 404, 1), (1, 404, 2), (2, 404, 3), (3, 503, 3)] {
        flaky.failing(failures);
        assert_eq!(get(&edge, "GET", "/v1/echo/a").await, status, "{failures}");
        assert_eq!(flaky.calls.load(Ordering::Relaxed), calls, "{failures}");
    }
    flaky.failing(1);
    assert_eq!(get(&edge, "DELETE", "/v1/echo/a").await, 503, "it says nothing of being repeated");
    assert_eq!(flaky.calls.load(Ordering::Relaxed), 1);
}

/// Offered: 50 calls a second for 30 seconds to a backend that refuses them all, and has a new table each second.
#[tokio::test(start_paused = true)]
async fn retries_do_not_make_a_storm_and_end_with_it() {
    let flaky = Flaky::default();
    let edge = flaky.edge();
    flaky.failing(i64::MAX);
    const OFFERED: u64 = 1_500;
    let mut clients = tokio::task::JoinSet::new();
    for call in 0..OFFERED {
        if call % 50 == 0 {
            edge.replace(flaky.backend()).unwrap();
        }
        let edge = edge.clone();
        clients.spawn(async move { get(&edge, "GET", "/v1/echo/a").await });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(clients.join_all().await.iter().all(|status| *status == 503));
    let load = flaky.calls.load(Ordering::Relaxed);
    assert!(load > OFFERED && load * 10 <= OFFERED * 12, "{load} calls");
    flaky.failing(0);
    assert_eq!(get(&edge, "GET", "/v1/echo/a").await, 404);
}

fn method(name: &str) -> Arc<Method> {
    let backends = [backend(descriptors("echo.proto"))];
    let rules = malla_transcode::rule::Config::default();
    let loaded = load::load(&config(), &rules, &budgets(&backends), &backends).unwrap();
    loaded.methods[&format!("/{SERVICE}/{name}")].clone()
}

#[tokio::test(start_paused = true)]
async fn a_backend_may_ask_for_a_longer_pause_or_for_none_of_it() {
    let method = method("Get");
    let deadline = Instant::now() + Duration::from_secs(5);
    let pushback = |value: &str| {
        let mut metadata = MetadataMap::new();
        metadata.insert(PUSHBACK, value.parse().unwrap());
        pause(&method, &Status::with_metadata(Code::Unavailable, "", metadata), 1, deadline)
    };
    assert_eq!(pushback("500"), Some(Duration::from_millis(500)));
    assert_eq!(pushback("-1"), None);
    assert_eq!(pushback("60000"), None, "that is for the client to wait");
    let soon = Instant::now() + Duration::from_millis(70);
    let status = Status::unavailable("");
    assert_eq!(pause(&method, &status, 1, soon), None, "the deadline is before the end of the pause");
    let second = pause(&method, &status, 2, deadline).unwrap();
    assert!((Duration::from_millis(160)..=Duration::from_millis(240)).contains(&second), "{second:?}");
    assert_eq!(pause(&method, &status, 3, deadline), None);
    assert_eq!(pause(&method, &Status::internal(""), 1, deadline), None);
}

#[tokio::test]
async fn what_was_never_sent_is_safe_whatever_the_method() {
    let delete = method("Delete");
    assert!(!delete.idempotent && method("Get").idempotent);
    assert!(!is_safe(&delete, &Status::unavailable("")));
    let nobody = Link::remote("echo", &"http://127.0.0.1:1".parse().unwrap());
    let request = Request::builder().uri("/a/b").body(Body::empty()).unwrap();
    let status = tower::ServiceExt::oneshot(nobody, request).await.unwrap_err();
    assert!(is_safe(&delete, &status));
}
