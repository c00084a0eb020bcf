use std::fmt;
use std::sync::Mutex;

use http::Request;
use http_body_util::BodyExt as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::fixture::{config, edge, send};

/// The values of a field in the access log and in spans; with the code, who refused.
#[derive(Clone, Default)]
pub(crate) struct Noted(pub(crate) &'static str, pub(crate) Arc<Mutex<Vec<String>>>);

impl Noted {
    /// What was noted since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

impl Subscriber for Noted {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "access" {
            event.record(&mut self.clone());
        }
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Noted {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.0 {
            self.1.lock().unwrap().push(value.to_owned());
        }
        if self.0 == "code" && field.name() == "refused_by" && !value.is_empty() {
            self.1.lock().unwrap().last_mut().unwrap().extend([" by ", value]);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[tokio::test]
async fn a_stream_is_recorded_as_it_ends() {
    let codes = Noted("code", Arc::default());
    // With a second one tracing does not ask the thread of another test whether anybody wants to know.
    let _other = tracing::Dispatch::new(Noted::default());
    let _noted = tracing::subscriber::set_default(codes.clone());
    let edge = edge(config());
    for (accept, encoding, uri, expected) in [
        ("*/*", "identity", "/v1/count/1", "OK"),
        ("*/*", "identity", "/v1/count/1?i64=1", "NOT_FOUND"),
        ("*/*", "gzip", "/v1/count/1?i64=1", "NOT_FOUND"),
        ("text/event-stream", "identity", "/v1/count/1?i64=1", "NOT_FOUND"),
        ("application/x-ndjson", "identity", "/v1/count/1?i64=1", "NOT_FOUND"),
        ("application/x-ndjson", "identity", "/v1/count/0?id=quiet", "DEADLINE_EXCEEDED"),
    ] {
        let request = Request::get(uri).header("host", "test").header("x-server-timeout", "0.5");
        let request = request.header("accept", accept).header("accept-encoding", encoding);
        let response = send(&edge, request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        assert_eq!(codes.take(), [expected], "{uri} {accept} {encoding}");
    }
}

#[tokio::test]
async fn what_clients_make_up_is_not_noted() {
    let methods = Noted("http.request.method", Arc::default());
    let _other = tracing::Dispatch::new(Noted::default());
    let _noted = tracing::subscriber::set_default(methods.clone());
    let edge = edge(config());
    for (method, expected) in [("GET", "GET"), ("A".repeat(30_000).as_str(), "_OTHER")] {
        let request = Request::builder().method(method).uri("/v1/echo/a").header("host", "test");
        send(&edge, request.body(Body::empty()).unwrap()).await;
        assert_eq!(methods.take(), [expected]);
    }
}
