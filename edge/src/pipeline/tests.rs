//! Whole requests through an edge in front of the echo backend.

use std::collections::BTreeMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use malla_runtime::auth::DEVELOPMENT_OPERATOR_TOKEN;
use malla_transcode::VIOLATIONS_MAX;
use serde_json::{Value, json};

use super::*;
use crate::edge::Edge;
use crate::fixture::{config, edge, send};
use crate::{Config, Names};

fn request(method: &str, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri).header("host", "test")
}

fn with(builder: http::request::Builder, body: impl Into<Bytes>) -> Request<Body> {
    builder.body(Body::new(Full::new(body.into()))).unwrap()
}

fn get(uri: &str) -> Request<Body> {
    with(request("GET", uri), "")
}

async fn text(response: Response<Body>) -> (u16, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Status and JSON body; an empty body is null.
async fn answer(edge: &Edge, request: Request<Body>) -> (u16, Value) {
    let (status, _, text) = text(send(edge, request).await).await;
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// What curl's `-d` sends.
fn old_push() -> http::request::Builder {
    request("POST", "/old/push").header("content-type", "application/x-www-form-urlencoded")
}

#[tokio::test]
async fn unary_rest() {
    let edge = edge(config());
    for (request, expected) in [
        (get("/v1/echo/a?flag=true"), (200, json!({"id": "a", "flag": true}))),
        (get("/v1/echo/a%2Fb/"), (200, json!({"id": "a/b"}))),
        (get("/v1/paths/a%20b/c%2Fd"), (200, json!({"id": "a b/c%2Fd"}))),
        (get("/v1/echo/a/tags?tags=x&tags=y"), (200, json!(["x", "y"]))),
        (get("/v1/echo/a/sub"), (200, json!({}))),
        (with(request("POST", "/v1/echo"), r#"{"id":"a"}"#), (201, json!({"id": "a"}))),
        (with(request("DELETE", "/v1/echo/a"), ""), (204, Value::Null)),
        (
            with(
                request("POST", "/old/echo").header("content-type", "application/x-www-form-urlencoded"),
                "nombre=n&flag=True",
            ),
            (200, json!({"id": "n", "flag": true})),
        ),
        (
            with(
                request("POST", "/old/echo").header("content-type", "application/x-www-form-urlencoded"),
                r#"{"id":1}"#,
            ),
            (200, json!({"id": "1"})),
        ),
        (with(request("POST", "/old/push").header("content-type", "text/plain"), "[1]"), (200, json!({"body": [1]}))),
        (with(old_push(), "123"), (200, json!({"body": 123}))),
        (with(old_push(), " true "), (200, json!({"body": true}))),
        (with(old_push(), "null"), (200, json!({"body": null}))),
        (with(old_push(), "a=1"), (200, json!({"body": {"a": "1"}}))),
    ] {
        let line = format!("{} {}", request.method(), request.uri());
        assert_eq!(answer(&edge, request).await, expected, "{line}");
    }
}

#[tokio::test]
async fn refusals_have_a_status_and_a_message() {
    let edge = edge(Config { body_bytes_max: 64, ..config() });
    let json = || request("POST", "/v1/echo").header("content-type", "application/json");
    for (request, status, message) in [
        (get("/nowhere"), 404, "there is nothing at GET /nowhere"),
        (get("/v1/echo/"), 405, "GET is not allowed here; allowed are OPTIONS, POST"),
        (get("/v1/internal"), 404, "there is nothing at GET /v1/internal"),
        (get("/v1/echo/%zz"), 400, "the path has a '%' that is not followed by two hexadecimal digits"),
        (get("/v1/echo/%ff"), 400, "id: the path is not UTF-8 after percent-decoding"),
        (get("/v1/numbers/x"), 400, "i32: must be a 32-bit integer"),
        (get("/v1/guarded"), 401, "this call needs credentials: Authorization: Bearer <token>"),
        (
            with(request("PUT", "/v1/echo/a"), r#"{"id":"b"}"#),
            400,
            "id: differs from the value in the path; leave it out",
        ),
        (with(request("GET", "/v1/echo/a"), "{}"), 400, "this call takes no body"),
        (with(json(), "{"), 400, "malformed JSON: expected a string in double quotes at line 1, column 2"),
        (with(json(), vec![b' '; 65]), 413, "the body is larger than 64 bytes"),
        (with(json().header("content-encoding", "gzip"), "x"), 400, "the body is malformed or was cut off"),
        (
            with(json().header("content-encoding", "lzma"), "x"),
            415,
            "Content-Encoding: \"lzma\" is not known; the body may be sent with zstd, br, gzip or deflate",
        ),
        (
            with(json().header("content-encoding", "gzip, gzip").header("content-encoding", "br"), "x"),
            415,
            "Content-Encoding: more than 2 of them are not undone; the body may be sent with zstd, br, gzip or deflate",
        ),
        (
            with(request("POST", "/v1/echo").header("content-type", "text/plain"), "{}"),
            415,
            "\"text/plain\" is not read here; send application/json or a form, in UTF-8",
        ),
        (
            with(request("POST", "/v1/echo").header("content-type", "application/json; Charset=latin1"), "{}"),
            415,
            "\"application/json; Charset=latin1\" is not read here; send application/json or a form, in UTF-8",
        ),
        (with(request("POST", "/v1/chat"), "[{}"), 400, "malformed JSON: the body ends within its array"),
        (
            with(request("POST", "/v1/chat"), r#"{"id":"a"}{"idd":"b"}"#),
            400,
            "1.idd: is not a field of test.v1.Everything; did you mean id?",
        ),
        (
            with(request("POST", "/v1/chat"), format!("[\"{}\"]", "a".repeat(64))),
            413,
            "a message is larger than 64 bytes",
        ),
        (
            with(request("POST", "/v1/chat").header("content-type", "text/plain"), "[]"),
            415,
            "\"text/plain\" is not read here; send application/json or a form, in UTF-8",
        ),
        (get("/v1/fail/9"), 400, "failed as asked"),
        (get("/v1/fail/14"), 503, "failed as asked"),
        (get("/v1/fail/10"), 409, "failed as asked"),
        (get("/v1/fail/6"), 422, "failed as asked"),
        (get("/v1/silent"), 504, "the deadline passed before the call ended"),
    ] {
        let line = format!("{} {}", request.method(), request.uri());
        let (got, body) = answer(&edge, request).await;
        assert_eq!((got, body["message"].as_str()), (status, Some(message)), "{line}");
        assert!(body["code"].is_u64() && body["details"].is_array(), "{line}: {body}");
    }
}

#[tokio::test]
async fn violations_are_in_the_details() {
    let (_, body) = answer(&edge(config()), get("/v1/echo/a?zzz=1&i32=x")).await;
    assert_eq!(
        body["details"][0]["field_violations"],
        json!([
            {"field": "zzz", "description": "is not a field of this request"},
            {"field": "i32", "description": "must be a 32-bit integer"},
        ])
    );
}

#[tokio::test]
async fn headers_of_answers() {
    let edge = edge(config());
    let asked = request("GET", "/v1/echo/a")
        .header("x-request-id", "id-1")
        .header("authorization", "token")
        .header("cookie", "a=b");
    let (_, headers, _) = text(send(&edge, with(asked, "")).await).await;
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-backend", "echo"),
        ("x-request-id", "id-1"),
        ("x-seen-x-request-id", "id-1"),
        ("x-seen-authorization", "Bearer token"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(headers.get(name).map(|value| value.to_str().unwrap()), Some(value), "{name}");
    }
    assert!(headers.contains_key("x-seen-grpc-timeout") && !headers.contains_key("x-seen-cookie"));
    assert!(!headers.keys().any(|name| name.as_str().starts_with("grpc-")));

    let (_, headers, _) = text(send(&edge, get("/v1/fail/14")).await).await;
    assert_eq!(headers["retry-after"], "2");
    let (_, headers, _) = text(send(&edge, get("/v1/guarded")).await).await;
    assert_eq!(headers["www-authenticate"], "Bearer");
    let (status, headers, _) = text(send(&edge, with(request("OPTIONS", "/v1/echo/a"), "")).await).await;
    assert_eq!((status, headers["allow"].to_str().unwrap()), (204, "DELETE, GET, HEAD, OPTIONS, PUT"));
}

#[tokio::test]
async fn backends_choose_the_http_status_but_no_success_for_an_error() {
    let edge = edge(config());
    for (uri, code, expected) in [
        ("/v1/echo/a", "302", 302),
        ("/v1/echo/a", "999", 200),
        ("/v1/echo/a", "204", 204),
        ("/v1/count/1", "206", 206),
        ("/v1/count/1", "204", 204),
        ("/v1/files/a", "304", 304),
        ("/v1/count/1?i64=1", "204", 404),
        ("/v1/fail/5", "410", 410),
        ("/v1/fail/5", "200", 404),
        ("/v1/fail/5", "304", 304),
    ] {
        let (status, headers, body) =
            text(send(&edge, with(request("GET", uri).header("want-code", code), "")).await).await;
        assert_eq!((status, headers.contains_key("x-http-code")), (expected, false), "{uri} {code}");
        assert_eq!(body.is_empty(), matches!(expected, 204 | 304), "{uri} {code}");
    }
}

#[tokio::test]
async fn what_comes_after_a_message_is_not_lost() {
    let edge = edge(config());
    let asked = || request("GET", "/v1/echo/a").header("want-trailer", "1");
    let (_, headers, _) = text(send(&edge, with(asked(), "")).await).await;
    assert_eq!(headers["x-after"], "1");

    let response = send(&edge, with(asked().header("te", "trailers"), "")).await;
    assert_eq!(
        (response.headers().get("x-after"), &response.headers()["trailer"]),
        (None, &"x-after".parse().unwrap())
    );
    let trailers = response.into_body().collect().await.unwrap().trailers().cloned().unwrap();
    assert_eq!((trailers.len(), &trailers["x-after"]), (1, &"1".parse().unwrap()));
}

#[tokio::test]
async fn what_comes_after_a_stream_is_for_clients_that_take_trailers() {
    let edge = edge(config());
    for (uri, accept, end) in [
        ("/v1/count/2", "application/json", "{\"i32\":2}]"),
        ("/v1/count/2", "application/x-ndjson", "{\"i32\":2}\n"),
        ("/v1/count/2", "text/event-stream", "data: {\"i32\":2}\n\n"),
        ("/v1/count/0", "application/json", "[]"),
        ("/v1/files/a", "*/*", "abcd"),
        // What fails says so in the body all the same.
        ("/v1/count/1?i64=1", "application/x-ndjson", "}}\n"),
    ] {
        for coding in ["identity", "gzip"] {
            let asked = || request("GET", uri).header("accept", accept).header("want-trailer", "1");
            let asked = || asked().header("accept-encoding", coding);
            let response = send(&edge, with(asked().header("te", "trailers"), "")).await;
            assert_eq!(response.headers()["trailer"], "x-after", "{uri}: and nothing of gRPC's");
            let encoded = response.headers().get("content-encoding").is_some();
            let collected = response.into_body().collect().await.unwrap();
            let trailers = collected.trailers().cloned().unwrap();
            assert_eq!((trailers.len(), &trailers["x-after"]), (1, &"1".parse().unwrap()), "{uri} {accept} {coding}");
            let body = collected.to_bytes();
            assert!(encoded || body.ends_with(end.as_bytes()), "{uri}: {body:?}");

            let response = send(&edge, with(asked(), "")).await;
            assert!(response.headers().get("trailer").is_none() && response.headers().get("x-after").is_none());
            assert_eq!(response.into_body().collect().await.unwrap().trailers(), None, "{uri} {accept} {coding}");
        }
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let edge = edge(config());
    for (uri, length) in [("/v1/echo/a", Some("10")), ("/v1/fail/5", Some("126")), ("/v1/count/1", None)] {
        let (_, headers, body) = text(send(&edge, with(request("HEAD", uri), "")).await).await;
        let told = headers.get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!((told, body.as_str()), (length, ""), "{uri}");
    }
}

#[tokio::test]
async fn keys_are_passed_bare_made_where_wanted_and_refused_when_malformed() {
    let edge = edge(config());
    for (method, uri, key, passed) in [
        ("POST", "/v1/push", "\"k\"", Some("k")),
        ("POST", "/v1/push", "k", Some("k")),
        ("DELETE", "/v1/echo/a", "k", None),
        ("DELETE", "/v1/echo/a", "\"", None),
    ] {
        let asked = with(request(method, uri).header("idempotency-key", key), "");
        let (_, headers, _) = text(send(&edge, asked).await).await;
        assert_eq!(headers.get("x-seen-idempotency-key").map(|key| key.to_str().unwrap()), passed, "{method} {key}");
        assert!(!headers.contains_key("idempotency-key"));
    }
    for asked in [
        request("POST", "/v1/echo").header("idempotency-key", "\"k"),
        request("POST", "/v1/echo").header("idempotency-key", "a").header("idempotency-key", "a"),
    ] {
        let (status, body) = answer(&edge, with(asked, "{}")).await;
        assert_eq!((status, &body["details"][0]["field_violations"][0]["field"]), (400, &json!("Idempotency-Key")));
    }
    // Made, told, and told when the call fails as well.
    let (_, headers, _) = text(send(&edge, with(request("PUT", "/v1/echo/a"), "{}")).await).await;
    assert_eq!(headers["idempotency-key"], headers["x-seen-idempotency-key"]);
    assert_eq!(headers["idempotency-key"].len(), 36);
    let (status, headers, _) = text(send(&edge, with(request("POST", "/v1/echo"), "{")).await).await;
    assert_eq!((status, headers.contains_key("idempotency-key")), (400, true));
}

#[tokio::test]
async fn operators_token_opens_operators_methods_with_or_without_scheme() {
    let edge = edge(config());
    for credentials in [DEVELOPMENT_OPERATOR_TOKEN.to_owned(), format!("Bearer {DEVELOPMENT_OPERATOR_TOKEN}")] {
        let request = with(request("GET", "/v1/guarded").header("authorization", credentials), "");
        assert_eq!(answer(&edge, request).await.0, 200);
    }
}

#[tokio::test]
async fn server_streams_in_each_layout() {
    let edge = edge(config());
    for (accept, uri, expected) in [
        ("*/*", "/v1/count/2", r#"[{"i32":1},{"i32":2}]"#),
        ("*/*", "/v1/count/0", "[]"),
        ("application/x-ndjson", "/v1/count/2", "{\"i32\":1}\n{\"i32\":2}\n"),
        ("text/event-stream", "/v1/count/1", ":\n\ndata: {\"i32\":1}\n\n"),
        ("*/*", "/v1/count/1?i64=1", r#"[{"i32":1},{"error":{"code":5,"message":"gone","details":[]}}]"#),
    ] {
        let (status, _, body) = text(send(&edge, with(request("GET", uri).header("accept", accept), "")).await).await;
        assert_eq!((status, body.as_str()), (200, expected), "{uri} {accept}");
    }
    let (status, body) = answer(&edge, get("/v1/count/0?i64=1")).await;
    assert_eq!((status, body["message"].as_str()), (404, Some("gone")), "an error before the first message");
}

#[tokio::test]
async fn clients_stream_arrays_lines_and_values() {
    let edge = edge(config());
    let json = "application/json";
    for (uri, content_type, body, expected) in [
        ("/v1/chat", json, r#"[{"id":"a"}, {"id":"b"}]"#, json!({"tags": ["a", "b"]})),
        ("/v1/chat", "application/x-ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n", json!({"tags": ["a", "b"]})),
        ("/v1/chat", json, r#"{"id":"a"}{"id":"b"}"#, json!({"tags": ["a", "b"]})),
        ("/v1/chat", json, "[]", json!({})),
        ("/v1/chat", json, "", json!({})),
        ("/v1/talk/x", json, r#"[{"id":"a"},{"id":"b"}]"#, json!([{"id": "a", "left": "x"}, {"id": "b"}])),
        ("/v1/talk/x", json, r#"[{"id":"a"},{"id":"bye"},{"id":"c"}]"#, json!([{"id": "a", "left": "x"}])),
    ] {
        let asked = request("POST", uri).header("content-type", content_type);
        assert_eq!(answer(&edge, with(asked, body)).await, (200, expected), "{uri} {body}");
    }
    assert_eq!(answer(&edge, get("/v1/talk/x?id=a")).await, (200, json!([{"id": "a", "left": "x"}])));
}

#[tokio::test]
async fn what_breaks_a_conversation_is_its_last_element() {
    let edge = edge(config());
    for (body, code, message) in [
        (r#"[{"id":"a"},{"id":"fail"}]"#, 5, "failed as asked"),
        (r#"[{"id":"a"},{"idd":"b"}]"#, 3, "1.idd: is not a field of test.v1.Everything; did you mean id?"),
        (r#"[{"id":"a"},{"left":"y"}]"#, 3, "1.left: differs from the value in the path; leave it out"),
        (r#"[{"id":"a"},"#, 3, "malformed JSON: the body ends within its array"),
    ] {
        let (status, answer) = answer(&edge, with(request("POST", "/v1/talk/x"), body)).await;
        // What is wrong may come before the first answer does.
        let error = if status == 200 { &answer[1]["error"] } else { &answer };
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!(message)), "{body}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_streams_open_and_are_kept_alive_until_their_deadline() {
    let edge = edge(Config { sse_heartbeat_ms: 6_000, ..config() });
    let asked =
        request("GET", "/v1/count/0?id=quiet").header("accept", "text/event-stream").header("prefer", "wait=13");
    let (status, _, body) = text(send(&edge, with(asked, "")).await).await;
    assert_eq!(status, 200);
    let expected = ":\n\n:\n\n:\n\nevent: error\ndata: {\"error\":{\"code\":4,";
    assert!(body.starts_with(expected), "{body}");
}

#[tokio::test]
async fn closing_ends_streams_visibly() {
    let edge = edge(config());
    let response = send(&edge, get("/v1/count/1?id=quiet")).await;
    edge.close_streams();
    let (_, _, body) = text(response).await;
    assert!(body.ends_with(r#""message":"the edge is shutting down","details":[]}}]"#), "{body}");
}

#[tokio::test]
async fn raw_bodies_go_through_verbatim() {
    let edge = edge(config());
    let (status, headers, body) = text(send(&edge, get("/v1/files/a/b.txt")).await).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap(), body.as_str()), (200, "text/plain", "abcd"));

    let pieces = (0..40).map(|_| Ok::<_, Status>(http_body::Frame::data(Bytes::from(vec![7; 10_000]))));
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces.collect::<Vec<_>>())));
    let upload = request("PUT", "/v1/files/a/b").header("content-type", "image/png").body(body).unwrap();
    let (status, body) = answer(&edge, upload).await;
    assert_eq!((status, &body["i64"]), (200, &json!("400000")));
    assert_eq!((&body["tags"][0], &body["tags"][1]), (&json!("a/b|image/png"), &json!("|")));
    assert!(body["i32"].as_i64().unwrap() <= 7, "small writes are gathered");

    let (status, body) = answer(&edge, with(request("PUT", "/v1/files/a"), "")).await;
    assert_eq!((status, &body["tags"]), (200, &json!(["a|"])), "an empty file is a file");
}

fn form(method: &str, uri: &str, parts: &[(&str, &str, &str)]) -> Request<Body> {
    let part = |(name, content_type, data): &(&str, &str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name={name}\r\n{content_type}\r\n\r\n{data}\r\n")
    };
    let body: String = parts.iter().map(part).collect();
    with(request(method, uri).header("content-type", "multipart/form-data; boundary=b"), body + "--b--\r\n")
}

const TEXT: &str = "content-type: text/plain";
const JSON: &str = "content-type: application/json";
const IMAGE: &str = "content-type: image/png";

#[tokio::test]
async fn forms_with_files_become_fields() {
    let edge = edge(config());
    for (asked, expected) in [
        (
            form(
                "POST",
                "/v1/echo",
                &[
                    ("id", TEXT, "a"),
                    ("tags", TEXT, "x"),
                    ("tags", TEXT, "y"),
                    ("sub", JSON, r#"{"name":"s"}"#),
                    ("sub.count", TEXT, "2"),
                    ("data", IMAGE, "\u{1}"),
                ],
            ),
            (201, json!({"id": "a", "tags": ["x", "y"], "sub": {"name": "s", "count": 2}, "data": "AQ=="})),
        ),
        (form("PUT", "/v1/echo/a", &[("i32", TEXT, "1")]), (201, json!({"id": "a", "i32": 1}))),
        (form("POST", "/v1/echo/a/sub", &[("name", TEXT, "n")]), (201, json!({"id": "a", "sub": {"name": "n"}}))),
        (
            form("POST", "/v1/chat", &[("m", JSON, r#"{"id":"a"}"#), ("m", TEXT, r#"{"id":"b"}"#)]),
            (200, json!({"tags": ["a", "b"]})),
        ),
        (
            form("PUT", "/v1/files/a", &[("file", IMAGE, "123")]),
            (200, json!({"i32": 1, "i64": "3", "tags": ["a|image/png"]})),
        ),
    ] {
        let line = format!("{} {}", asked.method(), asked.uri());
        assert_eq!(answer(&edge, asked).await, expected, "{line}");
    }
    for (asked, message) in [
        (form("PUT", "/v1/echo/a", &[("id", TEXT, "b")]), "id: differs from the value in the path; leave it out"),
        (form("POST", "/v1/echo", &[("id", IMAGE, "b")]), "id: takes no file"),
        (form("POST", "/v1/echo", &[("data", IMAGE, "b"), ("data", IMAGE, "b")]), "data: is given twice"),
        (form("POST", "/v1/echo", &[("data", IMAGE, "b"), ("data", TEXT, "")]), "data: is given twice"),
        (
            form("POST", "/v1/echo", &[("sub", JSON, "{}}")]),
            "sub: malformed JSON: trailing characters at line 1 column 3",
        ),
        (form("POST", "/v1/echo", &[("nope", TEXT, "b")]), "nope: is not a field of this request"),
        (
            form("PUT", "/v1/files/a", &[("path", TEXT, "b"), ("f", IMAGE, "")]),
            "path: differs from the value in the path; leave it out",
        ),
        (form("PUT", "/v1/files/a", &[("path", TEXT, "a")]), "the form has no file"),
        (
            form("PUT", "/v1/files/a", &[("f", IMAGE, ""), ("g", IMAGE, "")]),
            "g: comes after the file, which must be the last part",
        ),
    ] {
        let (status, body) = answer(&edge, asked).await;
        assert_eq!((status, body["message"].as_str()), (400, Some(message)));
    }
}

#[tokio::test]
async fn a_form_has_only_so_many_violations() {
    let (_, body) = answer(&edge(config()), form("POST", "/v1/echo", &[("data", JSON, "{"); 100])).await;
    assert_eq!(body["details"][0]["field_violations"].as_array().unwrap().len(), VIOLATIONS_MAX);
}

/// Each part is as large as other bodies at most, all together as uploads.
#[tokio::test(start_paused = true)]
async fn streams_as_forms_have_the_limits_of_streams() {
    let edge = edge(Config { body_bytes_max: 100, upload_bytes_max: 1_000, ..config() });
    let message = |bytes| format!("{{\"id\":\"{}\"}}", "a".repeat(bytes));
    let parts = |count, bytes| vec![("m", JSON, message(bytes)); count];
    for (method, uri, parts, expected) in [
        ("POST", "/v1/chat", parts(8, 10), (200, "")),
        ("POST", "/v1/chat", parts(40, 10), (413, "the body is larger than 1000 bytes")),
        ("POST", "/v1/chat", parts(1, 100), (413, "a part is larger than 100 bytes")),
        ("PUT", "/v1/files/a", vec![("path", TEXT, message(100))], (413, "a part is larger than 100 bytes")),
    ] {
        let parts: Vec<_> = parts.iter().map(|(name, kind, data)| (*name, *kind, data.as_str())).collect();
        let (status, body) = answer(&edge, form(method, uri, &parts)).await;
        assert_eq!((status, body["message"].as_str().unwrap_or_default()), expected, "{uri} {parts:?}");
    }
    for (uri, expected) in [("/v1/chat", (408, None)), ("/v1/talk/x", (200, Some(&json!({}))))] {
        let (head, body) = form("POST", uri, &[("m", JSON, "{}"), ("m", JSON, "{}")]).into_parts();
        let whole = body.collect().await.unwrap().to_bytes();
        let (begun, rest) = (whole.slice(..90), whole.slice(90..));
        let pieces = futures_util::stream::iter([(0, begun), (60, rest)]).then(async |(seconds, piece)| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, Status>(http_body::Frame::data(piece))
        });
        let asked = Request::from_parts(head, Body::new(StreamBody::new(pieces)));
        let (status, body) = answer(&edge, asked).await;
        assert_eq!((status, body.get(1)), expected, "a pause before the second message of {uri}");
    }
}

#[tokio::test]
async fn broken_uploads_do_not_look_complete() {
    let edge = edge(config());
    let endless =
        futures_util::stream::repeat_with(|| Ok::<_, Status>(http_body::Frame::data(Bytes::from(vec![7; 65_536]))));
    let upload = request("PUT", "/v1/files/a").body(Body::new(StreamBody::new(endless))).unwrap();
    assert_eq!(answer(&edge, upload).await.0, 413);
    let cut = futures_util::stream::iter([
        Ok(http_body::Frame::data(Bytes::from(vec![7; 100_000]))),
        Err(Status::cancelled("cut off")),
    ]);
    let upload = request("PUT", "/v1/files/a").body(Body::new(StreamBody::new(cut))).unwrap();
    assert_eq!(answer(&edge, upload).await.0, 400);
}

/// On one thread, as it is here.
#[tokio::test]
async fn a_body_that_is_there_leaves_room_for_other_requests() {
    let spaces = vec![Bytes::from_static(b" "); 20_000];
    let messages = vec![Bytes::from("{}\n".repeat(20_000))];
    for (uri, pieces) in [("/v1/echo", spaces.clone()), ("/v1/chat", spaces), ("/v1/chat", messages)] {
        let pieces = pieces.into_iter().map(|piece| Ok::<_, Status>(http_body::Frame::data(piece)));
        let pieces = futures_util::stream::iter(pieces);
        let asked = request("POST", uri).body(Body::new(StreamBody::new(pieces))).unwrap();
        let edge = edge(config());
        let asking = tokio::spawn(async move { answer(&edge, asked).await.0 });
        let mut turns = 0;
        while !asking.is_finished() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        assert!(turns > 100, "{uri}: {turns} turns of others");
        assert!(asking.await.unwrap() < 500, "{uri}");
    }
}

#[tokio::test]
async fn edge_at_its_limit_says_when_to_come_again() {
    let edge = edge(Config { requests_max: 1, ..config() });
    let held = send(&edge, get("/v1/count/1?id=quiet")).await;
    let (status, headers, _) = text(send(&edge, get("/v1/echo/a")).await).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "1"));
    drop(held);
    assert_eq!(answer(&edge, get("/v1/echo/a")).await.0, 200);
}

#[tokio::test]
async fn whoever_sends_no_message_takes_no_place_of_others() {
    for (uri, content_type, expected) in [
        ("/v1/echo", "application/json", 200),
        ("/test.v1.EchoService/Get", "application/grpc", 200),
        // A stream of messages is a call from its beginning.
        ("/v1/chat", "application/json", 503),
        ("/test.v1.EchoService/Chat", "application/grpc", 503),
    ] {
        let edge = edge(Config { requests_max: 1, ..config() });
        let (begin, begun) = tokio::sync::oneshot::channel();
        let never = futures_util::stream::once(async {
            let _ = begin.send(());
            std::future::pending::<Result<http_body::Frame<Bytes>, Status>>().await
        });
        let asked = request("POST", uri).version(http::Version::HTTP_2).header("content-type", content_type);
        let asked = asked.body(Body::new(StreamBody::new(never))).unwrap();
        let asking = tokio::spawn({
            let edge = edge.clone();
            async move { send(&edge, asked).await }
        });
        begun.await.unwrap();
        assert_eq!(answer(&edge, get("/v1/echo/a")).await.0, expected, "{uri}");
        asking.abort();
    }
}

/// One gRPC call; its answer's messages and trailers, or headers where there are none.
async fn grpc(edge: &Edge, path: &str, message: &[u8]) -> (Bytes, BTreeMap<String, String>) {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(message);
    let request = request("POST", path).version(http::Version::HTTP_2).header("content-type", "application/grpc");
    let response = send(edge, with(request.header("te", "trailers"), framed.freeze())).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or(headers);
    let pairs = trailers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()));
    (collected.to_bytes(), pairs.collect())
}

#[tokio::test]
async fn what_grpc_clients_send_is_bounded() {
    let few = Config { buffered_bytes_max: 10, ..config() };
    for (config, bytes, code) in [(few.clone(), 3, "0"), (few, 11, "14")] {
        let message = [&[0x0a, bytes - 2][..], &vec![b'a'; usize::from(bytes) - 2]].concat();
        let (_, trailers) = grpc(&edge(config), "/test.v1.EchoService/Get", &message).await;
        assert_eq!(trailers["grpc-status"], code, "{bytes}: {trailers:?}");
    }
}

#[tokio::test]
async fn grpc_passes_through() {
    let edge = edge(config());
    let (body, trailers) = grpc(&edge, "/test.v1.EchoService/Get", b"\x0a\x01a").await;
    assert_eq!((body.as_ref(), trailers["grpc-status"].as_str()), (&b"\0\0\0\0\x03\x0a\x01a"[..], "0"));
    for (path, code) in [
        ("/test.v1.EchoService/Fail", "5"),
        ("/test.v1.EchoService/Nope", "12"),
        ("/no.Service/Nope", "12"),
        ("/test.v1.EchoService/Internal", "12"),
        ("/test.v1.EchoService/Guarded", "16"),
        ("/test.v1.EchoService/Silent", "4"),
    ] {
        let (_, trailers) = grpc(&edge, path, b"\x18\x05").await;
        assert_eq!(trailers["grpc-status"], code, "{path}");
    }
}

#[tokio::test]
async fn grpc_over_http1_is_refused_where_its_clients_look() {
    for content_type in ["application/grpc", "Application/GRPC+proto"] {
        let asked = request("POST", "/test.v1.EchoService/Get").header("content-type", content_type);
        let (status, headers, _) = text(send(&edge(config()), with(asked, "")).await).await;
        assert_eq!((status, headers["grpc-status"].to_str().unwrap()), (200, "12"), "{content_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_trickle_past_the_deadline_are_too_slow() {
    let drops = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Status>(http_body::Frame::data(Bytes::from_static(b" "))), ()))
    });
    let asked = request("POST", "/v1/echo").body(Body::new(StreamBody::new(drops))).unwrap();
    let (status, body) = answer(&edge(config()), asked).await;
    assert_eq!((status, body["message"].as_str()), (408, Some("the body did not arrive before the deadline")));
}

#[tokio::test]
async fn edge_answers_grpc_health_itself() {
    let edge = edge(config());
    let (body, trailers) = grpc(&edge, "/grpc.health.v1.Health/Check", b"\x0a\x04echo").await;
    assert_eq!((body.as_ref(), trailers["grpc-status"].as_str()), (&b"\0\0\0\0\x02\x08\x02"[..], "0"), "NOT_SERVING");
    let (_, trailers) = grpc(&edge, "/grpc.health.v1.Health/Check", b"\x0a\x04nope").await;
    assert_eq!(trailers["grpc-status"], "5");
}

#[tokio::test]
async fn own_pages() {
    let edge = edge(config());
    let (status, body) = answer(&edge, get("/")).await;
    assert_eq!(
        (status, body),
        (200, json!({"name": "test", "version": "1", "status": "NOT_SERVING", "services": {"echo": "NOT_SERVING"}}))
    );
    for (accept, is_html) in [
        ("text/html,*/*;q=0.8", true),
        ("Text/HTML", true),
        ("text/html;q=0.5, application/json", false),
        ("text/html;q=0", false),
    ] {
        let page = with(request("GET", "/").header("accept", accept), "");
        let (status, headers, html) = text(send(&edge, page).await).await;
        let expected = if is_html { "text/html; charset=utf-8" } else { "application/json" };
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, expected), "{accept}");
        assert_eq!(html.contains("<title>test</title>") && !html.contains("{{"), is_html, "{html}");
    }
    for (uri, expected) in [
        ("/health", 503),
        ("/health/", 503),
        ("/health/echo", 503),
        ("/health/test.v1.EchoService", 503),
        ("/health/nope", 404),
        ("/health/health", 404),
        ("/-/status.js", 200),
        ("/-/status.css", 200),
    ] {
        assert_eq!(send(&edge, get(uri)).await.status().as_u16(), expected, "{uri}");
    }
    assert_eq!(answer(&edge, with(request("POST", "/health"), "")).await.0, 405);
}

#[tokio::test]
async fn health_follows_the_backend() {
    let edge = edge(config());
    let shutdown = malla_runtime::shutdown::Shutdown::new(Duration::from_secs(1));
    let following = tokio::spawn(edge.health().follow(shutdown.clone()));
    for _ in 0..200 {
        if send(&edge, get("/health")).await.status() == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The echo backend has no health service: it answers, so it serves.
    assert_eq!(
        answer(&edge, get("/health")).await,
        (200, json!({"status": "SERVING", "services": {"echo": "SERVING"}}))
    );
    shutdown.begin(Duration::ZERO).await;
    for _ in 0..200 {
        if send(&edge, get("/health")).await.status() == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(answer(&edge, get("/health")).await.0, 503);
    following.abort();
}

#[tokio::test]
async fn events_have_ids_and_go_on_behind_the_last() {
    let edge = edge(config());
    let events = |last: Option<&'static str>| {
        let request = request("GET", "/v1/count/3?page_token=0").header("accept", "text/event-stream");
        last.into_iter().fold(request, |request, id| request.header("last-event-id", id))
    };
    let (_, _, first) = text(send(&edge, with(events(None), "")).await).await;
    assert!(first.starts_with(":\n\nid: 1\ndata: {\"id\":\"1\""), "{first}");
    let (_, _, next) = text(send(&edge, with(events(Some("2")), "")).await).await;
    assert!(next.starts_with(":\n\nid: 3\n") && next.matches("data: ").count() == 1, "{next}");
}

#[tokio::test]
async fn routes_have_options_of_their_own() {
    use crate::config::{Enums, Errors, Route, Unknown};
    let all = Route {
        selector: "test.v1.EchoService.*".into(),
        enums: Some(Enums::Number),
        errors: Some(Errors::Problem),
        unknown_query: Some(Unknown::Ignore),
        ..Route::default()
    };
    let one = Route {
        pattern: "POST /v1/echo".into(),
        names: Some(Names::Camel),
        errors: Some(Errors::Aip193),
        unknown_fields: Some(Unknown::Ignore),
        ..Route::default()
    };
    let edge = edge(Config { routes: vec![all, one], ..config() });
    let (status, body) = answer(&edge, get("/v1/echo/a?color=COLOR_RED&pageSize=1&nope=1")).await;
    assert_eq!((status, body), (200, json!({"id": "a", "color": 1, "page_size": 1})));
    let (status, body) = answer(&edge, with(request("POST", "/v1/echo"), r#"{"id":"a","nope":1,"pageSize":1}"#)).await;
    assert_eq!((status, body), (201, json!({"id": "a", "pageSize": 1})));
    let (_, headers, problem) = text(send(&edge, get("/v1/echo/a?i32=x")).await).await;
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert!(problem["details"][0]["field_violations"].is_array(), "{problem}");
    let (status, body) = answer(&edge, with(request("POST", "/v1/echo"), r#"{"i32":"x"}"#)).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!(400)));
    assert!(body["error"]["details"][0]["fieldViolations"].is_array(), "{body}");
    // Of no route: as the edge has it.
    assert_eq!(answer(&edge, get("/nowhere")).await.1["code"], json!(5));
}

/// Items 38 and 49 of what is bound, for the edge and for single routes.
#[tokio::test]
async fn parameters_may_be_json_and_control_characters_refused() {
    use crate::config::{ControlCharacters, Route};
    let all = edge(Config { json_parameters: true, control_characters: ControlCharacters::Refuse, ..config() });
    let other = Route {
        pattern: "GET /v1/echo/{id}".into(),
        json_parameters: Some(false),
        control_characters: Some(ControlCharacters::Accept),
        ..Route::default()
    };
    let one =
        Route { json_parameters: Some(true), control_characters: Some(ControlCharacters::Refuse), ..other.clone() };
    let edges = [
        ("as it is", edge(config()), false),
        ("all", all, true),
        ("one", edge(Config { routes: vec![one.clone()], ..config() }), true),
        ("the last", edge(Config { routes: vec![one, other], ..config() }), false),
    ];
    for (name, edge, is_set) in edges {
        for (target, unset, set) in [
            ("/v1/echo/a?any=%7B%22b%22:%5B1%5D%7D", None, Some(json!({"id": "a", "any": {"b": [1]}}))),
            ("/v1/echo/a?any=x", None, None),
            ("/v1/echo/a%00", Some(json!({"id": "a\0"})), None),
            ("/v1/echo/a?left=%0D%0A", Some(json!({"id": "a", "left": "\r\n"})), None),
        ] {
            let (status, body) = answer(&edge, get(target)).await;
            let expected = if is_set { set } else { unset };
            assert_eq!(
                (status, Some(body).filter(|_| status == 200)),
                (expected.as_ref().map_or(400, |_| 200), expected),
                "{name}: {target}"
            );
        }
    }
    let edge = edge(Config { control_characters: ControlCharacters::Refuse, ..config() });
    let (_, body) = answer(&edge, get("/v1/echo/a?sub.name=%7F")).await;
    let violation =
        json!([{"field": "sub.name", "description": "has the control character U+007F; none is taken here"}]);
    assert_eq!(body["details"][0]["field_violations"], violation, "{body}");
}

/// Item 38: what clients make up comes back in no header as it is, and cannot end a line of a stream.
#[tokio::test]
async fn control_characters_stay_data_on_the_way_out() {
    let edge = edge(config());
    for target in [
        "/v1/echo/%00%0D%0Aset-cookie:%20a=b",
        "/v1/echo/a?next_page_token=%00%0D%0Aset-cookie:%20a%3Db%7F",
        "/v1/echo/a?%0D%0Aset-cookie:=%00",
        "/v1/echo/a?i32=%0D%0Aset-cookie:",
        "/v1/nowhere/%0D%0Aset-cookie:%00",
        "/v1/fail/5?id=%0D%0Aset-cookie:%00",
        "/v1/count/1?id=%0D%0Adata:%20forged&left=%0Adata:%20forged",
    ] {
        let request = request("GET", target).header("accept", "text/event-stream").header("x-request-id", "a\tb");
        let (_, headers, body) = text(send(&edge, with(request, "")).await).await;
        for (name, value) in &headers {
            assert!(!value.as_bytes().iter().any(u8::is_ascii_control), "{target}: {name}: {value:?}");
        }
        assert!(!headers.contains_key("set-cookie"), "{target}: {headers:?}");
        let is_text = |letter: char| letter == '\n' || !letter.is_control() || u32::from(letter) > 0x7e;
        assert!(body.chars().all(is_text) && !body.contains("\ndata: forged"), "{target}: {body:?}");
    }
}
