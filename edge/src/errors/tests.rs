use bytes::Bytes;
use http::header;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::codec::Types;
use crate::config::{Config, Json};
use crate::fixture;

fn writer(style: Errors) -> Writer {
    Writer { details: Details::new(&Types::new([]), &Json::default()), style }
}

fn read(written: &[u8]) -> Value {
    serde_json::from_slice(written).unwrap()
}

#[test]
fn each_style_says_all_of_it() {
    let details = ErrorDetails::with_bad_request_violation("sku", "must be given");
    let status = Status::with_error_details(Code::InvalidArgument, "bad", details);
    let details = json!([{
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{ "field": "sku", "description": "must be given" }],
    }]);
    let plain = json!({ "code": 3, "message": "bad", "details": details });
    let aip193 = json!({ "code": 422, "message": "bad", "status": "INVALID_ARGUMENT", "details": details });
    let problem = json!({
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "bad",
        "code": "INVALID_ARGUMENT",
        "details": details,
    });
    for (style, expected) in
        [(Errors::Status, plain), (Errors::Aip193, json!({ "error": aip193 })), (Errors::Problem, problem)]
    {
        let body = writer(style).body(&status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(read(&body), expected, "{style:?}");
    }
}

#[test]
fn elements_of_streams_are_errors_in_each_style() {
    for (style, key, value) in [
        (Errors::Status, "code", json!(5)),
        (Errors::Aip193, "status", json!("NOT_FOUND")),
        (Errors::Problem, "status", json!(404)),
    ] {
        let element = read(&writer(style).element(&Status::not_found("gone")));
        assert_eq!(element["error"][key], value, "{style:?}: {element}");
        assert_eq!(element["error"]["details"], json!([]), "{style:?}");
    }
}

#[test]
fn statuses_without_a_phrase_have_a_title() {
    let cancelled = Status::cancelled("left");
    let body = writer(Errors::Problem).body(&cancelled, status::http_of(Code::Cancelled));
    assert_eq!(read(&body)["title"], "CANCELLED");
}

#[tokio::test]
async fn the_setting_holds_for_the_edges_own_errors_and_the_backends() {
    for (errors, content_type, pointer) in [
        (Errors::Status, "application/json", "/message"),
        (Errors::Aip193, "application/json", "/error/message"),
        (Errors::Problem, "application/problem+json", "/detail"),
    ] {
        let edge = fixture::edge(Config { errors, ..fixture::config() });
        for (uri, expected, message) in [
            ("/nowhere", 404, "there is nothing at GET /nowhere"),
            ("/v1/fail/5", 404, "failed as asked"),
            ("/health/nope", 404, "there is no service \"nope\"; GET /health lists them"),
        ] {
            let request = http::Request::get(uri).header("host", "test").body(tonic::body::Body::empty()).unwrap();
            let response = fixture::send(&edge, request).await;
            assert_eq!(response.status().as_u16(), expected, "{uri}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], content_type, "{uri}");
            let body: Bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(read(&body).pointer(pointer), Some(&json!(message)), "{errors:?} {uri}");
        }
    }
}
