use std::convert::Infallible;

use futures_util::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::Value;
use tonic::body::Body;

use malla_runtime::auth::Claims;
use malla_runtime::link::Link;
use malla_transcode::rule;

use crate::call::retry::budgets;
use crate::fixture::{
    Fate, backend, bare, bare_echo, config, descriptors, edge, in_front_of, in_front_of_bare, remote, send,
};
use crate::load::{Backend, load};
use crate::{Config, Edge};

use super::*;

fn put(
    pieces: impl IntoIterator<Item = Result<Frame<Bytes>, Status>, IntoIter: Send + 'static>,
) -> http::Request<Body> {
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    http::Request::put("/v1/files/a").header("host", "test").body(body).unwrap()
}

fn data(bytes: usize) -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from(vec![7; bytes])))
}

async fn json(response: http::Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_complete_to_its_backend() {
    let (edge, mut told) = remote(config()).await;
    for _ in 0..20 {
        let cut = put([data(200_000), Err(Status::cancelled("cut off"))]);
        assert_eq!(send(&edge, cut).await.status(), 400);
        assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("cut")));
    }
    assert_eq!(send(&edge, put((0..100).map(|_| data(100_000)))).await.status(), 413);
    assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("cut")));

    let (status, body) = json(send(&edge, put([data(200_000)])).await).await;
    assert_eq!((status, body["i64"].as_str()), (200, Some("200000")));
    assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("complete")));
}

#[tokio::test]
async fn an_upload_that_is_late_is_never_complete_to_its_backend() {
    // A stranger's, that takes a reset with CANCEL for the end.
    let (edge, mut told) = bare_echo().await;
    let unending =
        futures_util::StreamExt::chain(futures_util::stream::iter([data(200_000)]), futures_util::stream::pending());
    let mut late = put([]).map(|_| Body::new(StreamBody::new(unending)));
    late.headers_mut().insert("x-server-timeout", "0.3".parse().unwrap());
    assert_eq!(send(&edge, late).await.status(), 504);
    assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("cut")));
}

/// An edge whose backend begins every answer and never ends it, and what becomes of its calls.
async fn unending() -> (Edge, tokio::sync::mpsc::UnboundedReceiver<&'static str>) {
    let (fates, told) = tokio::sync::mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let fates = fates.clone();
        async move {
            // All of it is there before the answer begins.
            request.into_body().collect().await.unwrap();
            let silent = futures_util::stream::unfold(Fate::begun(fates, "left"), async |_fate| {
                std::future::pending::<Option<(Result<Frame<Bytes>, Status>, Fate)>>().await
            });
            let response = http::Response::builder().header("content-type", "application/grpc");
            Ok::<_, Infallible>(response.body(Body::new(StreamBody::new(silent))).unwrap())
        }
    });
    (in_front_of_bare(service).await, told)
}

#[tokio::test]
async fn a_call_that_was_begun_to_be_answered_ends_with_its_deadline_and_with_its_client() {
    let (edge, mut told) = unending().await;
    let soon = async |told: &mut tokio::sync::mpsc::UnboundedReceiver<_>| {
        tokio::time::timeout(Duration::from_secs(5), told.recv()).await
    };
    let mut late = put([data(10)]);
    late.headers_mut().insert("x-server-timeout", "0.2".parse().unwrap());
    assert_eq!(send(&edge, late).await.status(), 504);
    assert_eq!((soon(&mut told).await, soon(&mut told).await), (Ok(Some("begun")), Ok(Some("left"))));

    let leaving = tokio::spawn(async move { send(&edge, put([data(10)])).await });
    assert_eq!(soon(&mut told).await, Ok(Some("begun")));
    leaving.abort();
    assert_eq!(soon(&mut told).await, Ok(Some("left")));
}

#[tokio::test]
async fn a_stream_of_answers_ends_with_the_token_it_was_asked_for_with() {
    let backends = [backend(descriptors("echo.proto"))];
    let methods = load(&config(), &rule::Config::default(), &budgets(&backends), &backends).unwrap().methods;
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    // With a minute that clocks may differ.
    let user = |seconds: i64| Caller::User(Claims { exp: now + seconds - 60, ..Claims::default() });
    for (method, caller, asked, expected) in [
        ("Count", Caller::Anonymous, None, 3_600),
        ("Count", user(600), None, 600),
        ("Count", user(600), Some(5), 5),
        ("Count", user(7_200), None, 3_600),
        ("Count", user(-1), None, 0),
        ("Talk", user(600), None, 600),
        ("Upload", user(600), None, 3_600),
        ("Get", user(5), None, 15),
    ] {
        let (begun, method) = (Instant::now(), &methods[&format!("/test.v1.EchoService/{method}")]);
        let deadline = deadline(begun, method, &caller, asked.map(Duration::from_secs)) - begun;
        let expected = Duration::from_secs(expected);
        let is_expected = deadline <= expected && expected - deadline <= Duration::from_secs(5);
        assert!(is_expected, "{} {caller:?} {asked:?}: {deadline:?}", method.name());
    }
}

#[tokio::test]
async fn a_request_over_its_backends_limit_is_too_large() {
    let edge = edge(Config { body_bytes_max: 16 << 20, message_bytes_max: 16 << 20, ..config() });
    let body = format!("{{\"id\":\"{}\"}}", "a".repeat(9 << 20));
    let request = http::Request::post("/v1/echo").header("host", "test").body(Body::new(body)).unwrap();
    let (status, body) = json(send(&edge, request).await).await;
    let told = "Error, decoded message length too large: found ";
    assert!(status == 413 && body["message"].as_str().unwrap().starts_with(told), "{status} {body}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_the_clients_fault() {
    let edge = edge(Config { message_bytes_max: 16, ..config() });
    for uri in ["/v1/echo/a-name-of-more-than-sixteen-bytes", "/v1/fail/11"] {
        let request = http::Request::get(uri).header("host", "test").body(Body::empty()).unwrap();
        let (status, body) = json(send(&edge, request).await).await;
        let expected =
            if uri.contains("fail") { (400, "failed as asked") } else { (500, "the backend's answer is too large") };
        assert_eq!((status, body["message"].as_str().unwrap()), expected, "{uri}");
    }
}

/// Makes a gRPC call, and gives the status it ends with.
async fn over_grpc(edge: Edge, method: &str, timeout: &str, body: Body) -> String {
    let request = http::Request::post(format!("/test.v1.EchoService/{method}")).version(http::Version::HTTP_2);
    let request = request.header("host", "test").header("content-type", "application/grpc");
    let request = request.header("te", "trailers").header("grpc-timeout", timeout).body(body).unwrap();
    let (head, body) = send(&edge, request).await.into_parts();
    let trailers = body.collect().await.unwrap().trailers().cloned();
    trailers.unwrap_or(head.headers)["grpc-status"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upload_over_grpc_is_cut_off_when_its_call_is_over() {
    for (method, id, timeout, ending, code, fate) in [
        ("Talk", "a", "300m", "", Some("4"), "cut"),
        ("Chat", "a", "300m", "", Some("4"), "cut"),
        ("Talk", "bye", "20S", "", Some("0"), "complete"),
        ("Talk", "a", "20S", "drain", Some("14"), "cut"),
        ("Talk", "a", "20S", "leave", None, "cut"),
        ("Chat", "a", "20S", "leave", None, "cut"),
    ] {
        let line = format!("{method} {id} {timeout} {ending}");
        let soon = async |told: &mut tokio::sync::mpsc::UnboundedReceiver<_>| {
            tokio::time::timeout(Duration::from_secs(5), told.recv()).await.expect(&line)
        };
        // Of a stranger, who does not look at the clock.
        let (edge, mut told) = bare_echo().await;
        let (upload, uploaded) = tokio::sync::mpsc::channel(1);
        let message = [&[0, 0, 0, 0, id.len() as u8 + 2, 10, id.len() as u8][..], id.as_bytes()].concat();
        upload.send(Ok::<_, Status>(Frame::data(Bytes::from(message)))).await.unwrap();
        let body = Body::new(StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(uploaded)));
        let calling = tokio::spawn(over_grpc(edge.clone(), method, timeout, body));
        assert_eq!(soon(&mut told).await, Some("begun"), "{line}");
        match ending {
            "drain" => edge.close_streams(),
            "leave" => calling.abort(),
            _ => {}
        }
        assert_eq!(calling.await.ok().as_deref(), code, "{line}");
        assert_eq!(soon(&mut told).await, Some(fate), "{line}");
        tokio::time::timeout(Duration::from_secs(5), upload.closed()).await.expect(&line);
    }
}

#[tokio::test]
async fn a_call_that_is_reset_is_an_internal_error_and_no_lost_connection() {
    for begun in [false, true] {
        let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
            request.into_body().collect().await.unwrap();
            let one = begun.then(|| Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\0"))));
            // hyper resets with INTERNAL_ERROR.
            let pieces = futures_util::stream::iter(one).chain(futures_util::stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Status::unavailable("it breaks off"))
            }));
            let response = http::Response::builder().header("content-type", "application/grpc");
            Ok::<_, Infallible>(response.body(Body::new(StreamBody::new(pieces))).unwrap())
        });
        let edge = in_front_of_bare(service).await;
        let told = "the call to the backend was reset";
        let get = |uri: &str| http::Request::get(uri).header("host", "test").body(Body::empty()).unwrap();
        let (status, body) = json(send(&edge, get("/v1/echo/a")).await).await;
        assert_eq!((status, &body["code"], body["message"].as_str()), (500, &13.into(), Some(told)), "{begun}");

        let (status, body) = json(send(&edge, get("/v1/count/1")).await).await;
        let (expected, error) = if begun { (200, &body[1]["error"]) } else { (500, &body) };
        assert_eq!((status, &error["code"], error["message"].as_str()), (expected, &13.into(), Some(told)), "{body}");
    }
}

/// As servers do that send nothing before their first message.
#[tokio::test]
async fn a_stream_that_beats_is_open_before_its_backend_has_begun() {
    for (wait_ms, accept, status, has_beat) in [
        (0, "text/event-stream", 404, false),
        (700, "text/event-stream", 200, true),
        (700, "application/x-ndjson", 404, false),
    ] {
        let service = tower::service_fn(move |_: http::Request<hyper::body::Incoming>| async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            Ok::<_, Infallible>(Status::not_found("nothing").into_http())
        });
        let address = format!("http://{}", bare(service).await);
        let backend =
            Backend { link: Link::remote("echo", &address.parse().unwrap()), ..backend(descriptors("echo.proto")) };
        let edge = in_front_of(Config { sse_heartbeat_ms: 100, ..config() }, backend);
        let get = http::Request::get("/v1/count/1").header("host", "test").header("accept", accept);
        let answer = send(&edge, get.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), status, "{accept}");
        let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().into()).unwrap();
        assert_eq!(text.starts_with(':'), has_beat, "{text}");
        assert!(text.contains("nothing"), "{text}");
    }
}

#[tokio::test]
async fn a_stream_whose_first_message_cannot_be_had_has_the_status_of_that() {
    for (message, code, expected) in [("\0\0\0\0\x01\x7f", "0", 500), ("", "5", 404)] {
        let service = tower::service_fn(move |_: http::Request<hyper::body::Incoming>| async move {
            let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())]);
            let frames =
                [Ok::<_, Status>(Frame::data(Bytes::from_static(message.as_bytes()))), Ok(Frame::trailers(trailers))];
            let response = http::Response::builder().header("content-type", "application/grpc").header("x-lead", "a");
            Ok::<_, Infallible>(response.body(Body::new(StreamBody::new(futures_util::stream::iter(frames)))).unwrap())
        });
        let edge = in_front_of_bare(service).await;
        let get = http::Request::get("/v1/count/1").header("host", "test").body(Body::empty()).unwrap();
        let answer = send(&edge, get).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["x-lead"].as_bytes()), (expected, &b"a"[..]));
    }
}
