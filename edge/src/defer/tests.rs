use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use http::Request;
use http_body_util::BodyExt as _;
use malla_runtime::auth::{self, Authenticator, Authority, Change};
use malla_runtime::call;
use malla_runtime::link::Link;
use serde_json::{Value, json};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::config::{Config, Route};
use crate::edge::{About, Edge};
use crate::fixture::{backend, config, deferring, descriptors, send};

/// Keeps calls, or refuses them with a code.
#[derive(Debug)]
struct Keeper {
    refusal: Option<Code>,
    kept: Mutex<Vec<Deferred>>,
    /// What the last one passed on.
    passed_on: Mutex<HeaderMap>,
}

impl Deferral for Keeper {
    fn accept(&self, call: Deferred) -> BoxFuture<'_, Result<Bytes, Status>> {
        self.kept.lock().unwrap().push(call);
        let operation = Named { name: "operations/1".into() }.encode_to_vec();
        let outcome = self.refusal.map_or(Ok(operation.into()), |code| Err(refusal(code)));
        async {
            Call::pass_on(&mut self.passed_on.lock().unwrap());
            outcome
        }
        .boxed()
    }

    fn location(&self, name: &str) -> Option<String> {
        Some(format!("/kept/{name}"))
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
    let keeper = Arc::new(Keeper { refusal, kept: Mutex::default(), passed_on: Mutex::default() });
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
    let asked = [("idempotency-key", "\"k\""), ("x-request-id", "r")];
    let (status, headers, body) = answer(&edge, post(&asked, r#"{"id":"a"}"#)).await;
    assert_eq!((status, body), (202, json!({"name": "operations/1"})));
    for (name, value) in [("location", "/kept/operations/1"), ("retry-after", "2"), ("idempotency-key", "k")] {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("preference-applied"));
    let passed_on = std::mem::take(&mut *keeper.passed_on.lock().unwrap());
    assert_eq!(passed_on["x-request-id"], "r");
    assert!(call::timeout(&passed_on).is_some_and(|left| left < ACCEPT_TIMEOUT), "{passed_on:?}");
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
    let keeper = Arc::new(Keeper { refusal: None, kept: Mutex::default(), passed_on: Mutex::default() });
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
        let (status, headers, _) = answer(&edge, post(&[], "{}")).await;
        assert_eq!((status, headers.get_all("idempotency-key").iter().count()), (expected, 1), "one that was made");
    }
    let (edge, keeper) = edge(false, None);
    let get = Request::get("/v1/echo/a").header("host", "test").body(Body::empty()).unwrap();
    assert_eq!(answer(&edge, get).await.0, 503, "not deferrable");
    assert!(keeper.kept.lock().unwrap().is_empty());
}

/// It may have been accepted all the same: the key is told, with which it can be sent again.
#[tokio::test]
async fn a_preference_that_cannot_be_met_is_an_error() {
    for (code, expected) in [(Code::Unavailable, 503), (Code::ResourceExhausted, 429), (Code::AlreadyExists, 422)] {
        let (edge, keeper) = edge(true, Some(code));
        let (status, headers, _) = answer(&edge, post(&[("prefer", "respond-async")], "{}")).await;
        assert_eq!(status, expected, "{code:?}");
        assert!(!headers.contains_key("preference-applied"));
        assert_eq!(headers["idempotency-key"], *keeper.kept.lock().unwrap().remove(0).key);
    }
}

/// A call to the gRPC lane.
fn grpc(method: &str, message: &[u8], headers: &[(&str, &str)]) -> Request<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let mut request = post(headers, [&[0][..], &length, message].concat());
    *request.uri_mut() = format!("/test.v1.EchoService/{method}").parse().unwrap();
    *request.version_mut() = http::Version::HTTP_2;
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

/// Only as much of it is gathered as could have been offered.
#[tokio::test]
async fn a_message_too_large_for_later_is_passed_on() {
    let keeper = Arc::new(Keeper { refusal: None, kept: Mutex::default(), passed_on: Mutex::default() });
    let config = Config { message_bytes_max: 1 << 20, ..config() };
    let edge = deferring(config, backend(descriptors("echo.proto")), Some(keeper.clone()));
    for bytes in [REQUEST_BYTES_MAX, REQUEST_BYTES_MAX + 1, 2 << 20] {
        let (head, body) = grpc("Create", &vec![0; bytes], &[("prefer", "respond-async")]).into_parts();
        let whole = body.collect().await.unwrap().to_bytes();
        let pieces = whole.chunks(16 << 10).map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece))));
        let body = Body::new(StreamBody::new(stream::iter(pieces.collect::<Vec<_>>())));
        let answer = send(&edge, Request::from_parts(head, body)).await.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0", "{bytes}");
        assert_eq!(answer.to_bytes() == whole, bytes > REQUEST_BYTES_MAX, "{bytes} come back, or an operation");
    }
    assert_eq!(keeper.kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_waited_in_vain_learns_the_key_that_was_made() {
    let rest = || {
        let mut rest = post(&[("x-server-timeout", "0.05")], r#"{"id":"hang"}"#);
        *rest.uri_mut() = "/v1/known".parse().unwrap();
        rest
    };
    let grpc = || grpc("Known", b"\x0a\x04hang", &[("grpc-timeout", "50m")]);
    for (request, reachable, expected) in [
        (rest(), true, (504, None)),
        (rest(), false, (503, None)),
        (grpc(), true, (200, Some("4"))),
        (grpc(), false, (200, Some("14"))),
    ] {
        let (edge, _keeper) = edge(reachable, Some(Code::Unavailable));
        let response = send(&edge, request).await;
        let code = response.headers().get("grpc-status").map(|code| code.to_str().unwrap());
        assert_eq!((response.status().as_u16(), code), expected);
        assert_eq!(response.headers()["idempotency-key"].len(), 36, "{expected:?}");
    }
}

/// Says once which keys there are, and then falls silent.
#[derive(Default)]
struct Silent(AtomicBool);

/// The seed is 32 times 7; the token is user 1's until 2100.
const X: &str = "6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw";
const TOKEN: &str = "Bearer eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsifQ.eyJpc3MiOiJtYWxsYSIsImF1ZCI6Im1hbGxhIiwi\
    c3ViIjoiMSIsInVzZXJuYW1lIjoiYW5hIiwianRpIjoidCIsImlhdCI6MCwiZXhwIjo0MTAyNDQ0ODAwfQ.YF-5rgmTuUJ5pxI1yGPudg5EsMR_nUvF\
    DBrb7Q0D4S6wUnqzbBLMSXu7jqtQbaONzHc-TxXiCkK61zoYPMo8DQ";

impl Authority for Silent {
    fn watch(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<Change, Status>>, Status>> {
        if self.0.swap(true, Ordering::SeqCst) {
            return std::future::pending().boxed();
        }
        let key = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k", "x": X});
        let keys = serde_json::from_value(json!({ "keys": [key] })).unwrap();
        let change = Change { keys: Some(keys), revoked: Vec::new() };
        std::future::ready(Ok(stream::iter([Ok(change)]).chain(stream::pending()).boxed())).boxed()
    }
}

/// A method that anyone may call checks no credentials, and is called with whatever they are: but not later, as nobody.
#[tokio::test(start_paused = true)]
async fn a_call_is_accepted_for_the_user_it_was_let_in_for_or_not_at_all() {
    for (uri, credentials, seconds, expected) in [
        ("/v1/known", Some(TOKEN), 0, (202, Some("1"))),
        ("/v1/known", Some(TOKEN), 3, (202, Some("1"))),
        ("/v1/known", None, 3, (202, Some(""))),
        ("/v1/known", Some("Bearer x"), 0, (401, None)),
        ("/v1/echo", Some(TOKEN), 0, (202, Some("1"))),
        ("/v1/echo", Some(TOKEN), 3, (201, None)),
        ("/v1/echo", Some("Bearer x"), 0, (201, None)),
        ("/v1/echo", None, 3, (202, Some(""))),
    ] {
        let keeper = Arc::new(Keeper { refusal: None, kept: Mutex::default(), passed_on: Mutex::default() });
        let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
        tokio::spawn(authenticator.clone().follow(Arc::new(Silent::default())));
        authenticator.ready(Duration::from_millis(500)).await;
        let backend = backend(descriptors("echo.proto"));
        let edge = Edge::new(config(), &[backend], authenticator, About::default(), Some(keeper.clone())).unwrap();

        let mut request = post(&[("prefer", "respond-async")], "");
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().extend(credentials.map(|token| (header::AUTHORIZATION, token.parse().unwrap())));
        // What the authority does not say for a second leaves it open whether the token is good.
        let body = stream::once(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, Status>(Frame::data(Bytes::from_static(b"{}")))
        });
        *request.body_mut() = Body::new(StreamBody::new(body));
        let status = send(&edge, request).await.status().as_u16();
        let kept = keeper.kept.lock().unwrap().pop().map(|call| match call.caller {
            Caller::User(claims) => claims.sub,
            _ => String::new(),
        });
        assert_eq!((status, kept.as_deref()), expected, "{uri} {credentials:?} after {seconds} s");
    }
}

#[tokio::test]
async fn grpc_gets_the_operation_if_it_asked_for_one_and_else_an_error_that_holds_it() {
    let (edge, keeper) = edge(false, None);
    for asks in [true, false] {
        let asked = [("prefer", "respond-async")];
        let request = grpc("Create", b"\x0a\x01a", if asks { &asked } else { &[] });
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
