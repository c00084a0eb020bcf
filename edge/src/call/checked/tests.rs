use std::convert::Infallible;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use malla_runtime::health::State;
use malla_runtime::shutdown::Shutdown;
use serde_json::Value;

use super::*;
use crate::fixture::{in_front_of_bare, send};

#[test]
fn lengths_are_seen_however_the_bytes_come() {
    let messages = [&b"\0\0\0\0\x03abc"[..], b"\0\0\0\0\0", b"\x01\0\0\0\x04abcd"].concat();
    let large = [&messages[..], b"\0\0\0\0\x05abcde"].concat();
    let html = b"<html>\0\0\0\0\xff";
    for step in 1..=large.len() {
        let pass = |data: &[u8]| {
            let mut framing =
                Framing { message_bytes_max: 4, head: [0; HEAD_BYTES], head_bytes: 0, message_bytes_left: 0 };
            data.chunks(step).try_for_each(|piece| framing.pass(piece))
        };
        assert!(pass(&messages).is_ok() && pass(html).is_ok(), "{step}");
        assert_eq!(pass(&large).unwrap_err().message(), "the backend's answer is too large", "{step}");
    }
}

/// Answers with an error whose details are none: in trailers, or, asked for nothing, in headers alone.
async fn answer(request: Request<hyper::body::Incoming>) -> Result<Response<Body>, Infallible> {
    let asked = request.into_body().collect().await.unwrap().to_bytes();
    let mut status = HeaderMap::new();
    status.insert("grpc-status", "5".parse().unwrap());
    status.insert("grpc-message", "gone".parse().unwrap());
    status.insert("grpc-status-details-bin", "!!!".parse().unwrap());
    let mut response = Response::new(Body::empty());
    if asked.len() > HEAD_BYTES {
        let frames = futures_util::stream::iter([Ok::<_, Status>(Frame::trailers(status))]);
        *response.body_mut() = Body::new(StreamBody::new(frames));
    } else {
        *response.headers_mut() = status;
    }
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    Ok(response)
}

#[tokio::test]
async fn an_error_whose_details_are_no_base64_is_that_error() {
    let edge = in_front_of_bare(tower::service_fn(answer)).await;
    for (method, uri) in
        [("GET", "/v1/numbers/0"), ("GET", "/v1/echo/a"), ("GET", "/v1/count/1"), ("PUT", "/v1/files/a")]
    {
        let request = Request::builder().method(method).uri(uri).header("host", "test");
        let response = send(&edge, request.body(Body::empty()).unwrap()).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, body["message"].as_str()), (404, Some("gone")), "{method} {uri}");
    }
    for message in [&b"\0\0\0\0\0"[..], b"\0\0\0\0\x03\x0a\x01a"] {
        let request = Request::post("/test.v1.EchoService/Get").version(http::Version::HTTP_2);
        let request =
            request.header("host", "test").header("content-type", "application/grpc").header("te", "trailers");
        let response = send(&edge, request.body(Body::new(http_body_util::Full::from(message))).unwrap()).await;
        let headers = response.headers().clone();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap_or(&headers)["grpc-status"], "5", "{message:?}");
    }
    // The health check asks the same way: NOT_FOUND is no opinion on its health.
    let following = tokio::spawn(edge.health().follow(Shutdown::default()));
    let serving = async {
        while edge.health().overall() != State::Serving {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), serving).await.expect("it answers");
    following.abort();
}

/// An answer on the wire: status, type, headers, data, trailers.
type Wire = (u16, &'static str, HeaderMap, Vec<u8>, Option<HeaderMap>);

/// What a REST client gets of it.
async fn answered((status, content_type, headers, data, trailers): Wire, uri: &str) -> (u16, Value) {
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (headers, data, trailers) = (headers.clone(), data.clone(), trailers.clone());
        async move {
            request.into_body().collect().await.unwrap();
            let frames = [Some(Frame::data(Bytes::from(data))), trailers.map(Frame::trailers)];
            let frames = futures_util::stream::iter(frames.into_iter().flatten().map(Ok::<_, Status>));
            let response = Response::builder().status(status).header("content-type", content_type);
            let mut response = response.body(Body::new(StreamBody::new(frames))).unwrap();
            response.headers_mut().extend(headers);
            Ok::<_, Infallible>(response)
        }
    });
    let edge = in_front_of_bare(service).await;
    let response = send(&edge, Request::get(uri).header("host", "test").body(Body::empty()).unwrap()).await;
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

fn headers<const N: usize>(pairs: [(&'static str, &[u8]); N]) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.try_into().unwrap())).collect()
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_is_told_by_its_http_status() {
    let page = b"<html><h1>Bad gateway</h1></html>".to_vec();
    let frames = b"\0\0\0\0\x03\x0a\x01a".to_vec();
    let ok = Some(headers([("grpc-status", b"0")]));
    for (wire, expected) in [
        ((404, "text/html", page.clone()), (501, 12)),
        ((503, "text/html", page.clone()), (503, 14)),
        ((302, "text/html", Vec::new()), (500, 2)),
        ((200, "text/html", page), (500, 2)),
        ((200, "application/grpc-web", frames.clone()), (500, 2)),
        ((401, "application/grpc", frames.clone()), (401, 16)),
    ] {
        for uri in ["/v1/fail/0", "/v1/count/1"] {
            let (status, content_type, data) = wire.clone();
            let (http, body) = answered((status, content_type, HeaderMap::new(), data, ok.clone()), uri).await;
            assert_eq!((http, body["code"].as_i64()), (expected.0, Some(expected.1)), "{wire:?} {uri}: {body}");
            let told = format!("the backend answered with HTTP {status}, and not with gRPC");
            assert_eq!(body["message"], told, "{wire:?} {uri}");
        }
    }
    let proto = (200, "application/grpc+proto; charset=utf-8", HeaderMap::new(), frames.clone(), ok.clone());
    assert_eq!(answered(proto, "/v1/fail/0").await.0, 200);
    let told = headers([("grpc-status", b"5"), ("grpc-message", b"gone")]);
    let (http, body) = answered((502, "text/html", told, Vec::new(), None), "/v1/fail/0").await;
    assert_eq!((http, &body["message"]), (404, &"gone".into()), "a status of gRPC's own goes first");
}

/// gRPC's `doc/PROTOCOL-HTTP2.md`: what cannot be decoded is neither an error nor thrown away.
#[tokio::test]
async fn an_error_whose_message_is_no_text_is_that_error() {
    for (sent, told) in [
        (&b"%ff%fe"[..], "%ff%fe"),
        (b"caf%c3", "caf%c3"),
        (b"caf\xe9", "caf\u{fffd}"),
        (b"100% sure", "100% sure"),
        (b"caf%C3%A9", "café"),
        ("café".as_bytes(), "café"),
    ] {
        let status = headers([("grpc-status", b"5"), ("grpc-message", sent)]);
        let early = (200, "application/grpc", status.clone(), Vec::new(), None);
        let late = (200, "application/grpc", HeaderMap::new(), Vec::new(), Some(status));
        for wire in [early, late] {
            let (http, body) = answered(wire, "/v1/fail/0").await;
            assert_eq!((http, &body["code"], &body["message"]), (404, &5.into(), &told.into()), "{sent:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_whole_answer_is_none() {
    let one = b"\0\0\0\0\x03\x0a\x01a";
    let (within, more) =
        ("the backend's answer ends within a message", "the backend answered with more than one message");
    for (data, code, unary, stream) in [
        (&one[..7], b"0", Some(within), Some(within)),
        (&one[..3], b"0", Some(within), Some(within)),
        (&[one, &one[..7]].concat(), b"0", Some(within), Some(within)),
        (&[&one[..], one].concat(), b"0", Some(more), None),
        (&one[..], b"0", None, None),
        // A failure is what its status says.
        (&one[..7], b"5", Some("gone"), Some("gone")),
        (&one[..], b"5", Some("gone"), Some("gone")),
    ] {
        let trailers = headers([("grpc-status", code), ("grpc-message", b"gone")]);
        let wire = (200, "application/grpc", HeaderMap::new(), data.to_vec(), Some(trailers));
        let (_, body) = answered(wire.clone(), "/v1/fail/0").await;
        assert_eq!(body["message"].as_str(), unary, "{data:?} {code:?}: {body}");
        let (_, body) = answered(wire, "/v1/count/1").await;
        let last = body.as_array().map_or(Some(&body), |elements| elements.last().map(|last| &last["error"]));
        assert_eq!(last.and_then(|last| last["message"].as_str()), stream, "{data:?} {code:?}: {body}");
    }
}
