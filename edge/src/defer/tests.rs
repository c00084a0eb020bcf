use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use malla_runtime::link::Link;
use serde_json::{Value, json};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::config::{Config, Route};
use crate::edge::Edge;
use crate::fixture::{backend, config, deferring, descriptors, send};

/// Keeps calls, or refuses them with a code.
#[derive(Debug)]
struct Keeper {
    refusal: Option<Code>,
    kept: Mutex<Vec<Deferred>>,
}

impl Deferral for Keeper {
    fn accept(&self, call: Deferred) -> BoxFuture<'_, Result<Bytes, Status>> {
        self.kept.lock().unwrap().push(call);
        let operation = Named { name: "operations/1".into() }.encode_to_vec();
        let outcome = self.refusal.map_or(Ok(operation.into()), |code| Err(refusal(code)));
        std::future::ready(outcome).boxed()
    }
}

/// As the one who keeps calls says it: ALREADY_EXISTS is of the key.
fn refusal(code: Code) -> Status {
    if code != Code::AlreadyExists {
        return Status::new(code, "no");
    }
    let details = ErrorDetails::with_error_info("IDEMPOTENCY_KEY_REUSED", "test", HashMap::new());
    Status::with_error_details(code, "no", details)
}

fn edge(reachable: bool, refusal: Option<Code>) -> (Edge, Arc<Keeper>) {
    let keeper = Arc::new(Keeper { refusal, kept: Mutex::default() });
    let mut backend = backend(descriptors("echo.proto"));
    if !reachable {
        backend.link = Link::remote("echo", &"http://127.0.0.1:1".parse().unwrap());
    }
    (deferring(config(), backend, Some(keeper.clone())), keeper)
}

fn post(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Body> {
    let mut request = Request::post("/v1/echo").header("host", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::new(Full::new(body.into()))).unwrap()
}

async fn answer(edge: &Edge, request: Request<Body>) -> (u16, HeaderMap, Value) {
    let (parts, body) = send(edge, request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_call_whose_backend_is_not_reached_is_accepted() {
    let (edge, keeper) = edge(false, None);
    let (status, headers, body) = answer(&edge, post(&[("idempotency-key", "\"k\"")], r#"{"id":"a"}"#)).await;
    assert_eq!((status, body), (202, json!({"name": "operations/1"})));
    for (name, value) in [("location", "/v1/operations/1"), ("retry-after", "2"), ("idempotency-key", "k")] {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("preference-applied"));
    let kept = keeper.kept.lock().unwrap().remove(0);
    assert_eq!(kept.method, "test.v1.EchoService/Create");
    assert_eq!((kept.request.as_ref(), kept.response_type.as_str()), (b"\x0a\x01a".as_slice(), "test.v1.Everything"));
    assert_eq!((kept.caller, kept.key.as_str()), (Caller::Anonymous, "k"));

    let (_, headers, _) = answer(&edge, post(&[], "{}")).await;
    let made = keeper.kept.lock().unwrap().remove(0).key;
    assert_eq!((headers["idempotency-key"].to_str().unwrap(), made.len()), (made.as_str(), 36));
}

#[tokio::test]
async fn a_call_is_deferred_when_its_client_prefers_that_and_may_be() {
    let (edge, keeper) = edge(true, None);
    let (status, headers, _) = answer(&edge, post(&[("prefer", "respond-async, wait=5")], "{}")).await;
    assert_eq!((status, headers["preference-applied"].to_str().unwrap()), (202, "respond-async"));
    assert_eq!(answer(&edge, post(&[], "{}")).await.0, 201);
    let large = json!({ "id": "x".repeat(REQUEST_BYTES_MAX) }).to_string();
    assert_eq!(answer(&edge, post(&[("prefer", "respond-async")], large)).await.0, 201, "too large for later");
    let get = Request::get("/v1/echo/a").header("host", "test").header("prefer", "respond-async");
    assert_eq!(answer(&edge, get.body(Body::empty()).unwrap()).await.0, 200, "not deferrable");
    assert_eq!(keeper.kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_stands_for_a_call_is_written_as_its_route_has_it() {
    let keeper = Arc::new(Keeper { refusal: None, kept: Mutex::default() });
    let route = Route { pattern: "POST /v1/echo".into(), emit_defaults: Some(true), ..Route::default() };
    let edge = deferring(Config { routes: vec![route], ..config() }, backend(descriptors("echo.proto")), Some(keeper));
    let (status, _, body) = answer(&edge, post(&[("prefer", "respond-async")], "{}")).await;
    assert_eq!((status, body), (202, json!({"name": "operations/1", "done": false})));
}

#[tokio::test]
async fn a_call_that_is_not_accepted_has_failed() {
    for (code, expected) in [(Code::AlreadyExists, 422), (Code::Unavailable, 503), (Code::ResourceExhausted, 429)] {
        let (edge, _keeper) = edge(false, Some(code));
        let (status, headers, _) = answer(&edge, post(&[("idempotency-key", "k")], "{}")).await;
        assert_eq!((status, headers["idempotency-key"].to_str().unwrap()), (expected, "k"));
    }
    let (edge, keeper) = edge(false, None);
    let get = Request::get("/v1/echo/a").header("host", "test").body(Body::empty()).unwrap();
    assert_eq!(answer(&edge, get).await.0, 503, "not deferrable");
    assert!(keeper.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn grpc_gets_the_operation_if_it_asked_for_one_and_else_an_error_that_holds_it() {
    let (edge, keeper) = edge(false, None);
    for asks in [true, false] {
        let mut request =
            post(&[("content-type", "application/grpc"), ("te", "trailers")], b"\0\0\0\0\x03\x0a\x01a".as_slice());
        *request.uri_mut() = "/test.v1.EchoService/Create".parse().unwrap();
        *request.version_mut() = http::Version::HTTP_2;
        if asks {
            request.headers_mut().insert("prefer", RESPOND_ASYNC);
        }
        let (parts, body) = send(&edge, request).await.into_parts();
        let body = body.collect().await.unwrap();
        if asks {
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(body.to_bytes().as_ref(), b"\0\0\0\0\x0e\x0a\x0coperations/1");
            continue;
        }
        let status = Status::from_header_map(&parts.headers).unwrap();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), "the call was accepted as operations/1; do not send it again");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
        let details = pb::Status::decode(status.details()).unwrap().details;
        assert_eq!(details[0].type_url, "type.googleapis.com/google.longrunning.Operation");
    }
    let kept = keeper.kept.lock().unwrap();
    assert!(kept.iter().all(|call| call.request.as_ref() == b"\x0a\x01a") && kept.len() == 2);
}
