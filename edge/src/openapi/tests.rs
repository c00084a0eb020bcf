use futures_util::poll;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tonic::body::Body;

use super::*;
use crate::config::{Config, Route};
use crate::edge::Edge;
use crate::fixture::{config, edge, send};

async fn fetch(edge: &Edge, path: &str, known: Option<&HeaderValue>) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = Request::get(path).header("host", "test");
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    let (parts, body) = send(edge, request.body(Body::empty()).unwrap()).await.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn the_document_has_every_route_and_is_the_same_each_time() {
    let (edge, other) = (edge(config()), edge(config()));
    for (path, content_type) in [("/openapi.json", "application/json"), ("/openapi.yaml", "application/yaml")] {
        let (status, headers, text) = fetch(&edge, path, None).await;
        assert_eq!((status, &headers[header::CONTENT_TYPE]), (StatusCode::OK, &HeaderValue::from_static(content_type)));
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        let (_, others, same) = fetch(&other, path, None).await;
        assert!(text == same && headers[header::ETAG] == others[header::ETAG], "{path}");
    }
    let (_, _, text) = fetch(&edge, "/openapi.json", None).await;
    let document: Value = serde_json::from_slice(&text).unwrap();
    let operations: Vec<&Value> =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()).collect();
    let mut missing = Vec::new();
    for row in edge.routes() {
        let named =
            |operation: &&&Value| operation["x-malla-rpcs"].as_array().unwrap().contains(&row.rpc.clone().into());
        let found = operations
            .iter()
            .filter(named)
            .any(|operation| operation["responses"][row.success_status.to_string()].is_object());
        missing.extend((!found).then_some(row));
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn each_route_is_told_with_its_own_options() {
    let route = Route {
        pattern: "POST /v1/echo".into(),
        names: Some(Names::Camel),
        enums: Some(Enums::Number),
        emit_defaults: Some(true),
        errors: Some(config::Errors::Problem),
        unknown_fields: Some(Unknown::Ignore),
        unknown_query: Some(Unknown::Ignore),
        ..Route::default()
    };
    let edge = edge(Config { routes: vec![route], ..config() });
    let (_, _, text) = fetch(&edge, "/openapi.json", None).await;
    let document: Value = serde_json::from_slice(&text).unwrap();
    let refers_to = |place: &str, target: &str| {
        assert_eq!(document.pointer(place).map(|at| &at["$ref"]), Some(&target.into()), "{place}");
        assert!(document.pointer(&target[1..]).is_some_and(Value::is_object), "{target}");
    };
    for (body, answer, error, route) in
        [("-camel-numbers-open", "-camel-numbers", "-problem", "~1v1~1echo/post"), ("", "", "", "~1v1~1echo~1{id}/put")]
    {
        let everything = "#/components/schemas/test.v1.Everything";
        refers_to(
            &format!("/paths/{route}/requestBody/content/application~1json/schema"),
            &format!("{everything}{body}"),
        );
        refers_to(
            &format!("/paths/{route}/responses/201/content/application~1json/schema"),
            &format!("{everything}{answer}"),
        );
        refers_to(&format!("/paths/{route}/responses/400"), &format!("#/components/responses/400{error}"));
        let operation = document.pointer(&format!("/paths/{route}")).unwrap();
        assert_eq!(operation.get("x-malla-unknown-query").is_some(), !error.is_empty());
        let about = operation["responses"]["201"]["description"].as_str().unwrap();
        assert_eq!(about.contains("Fields with their default value are written too"), !error.is_empty());
    }
}

#[tokio::test]
async fn who_has_the_document_is_not_sent_it_again() {
    let edge = edge(config());
    let (_, headers, _) = fetch(&edge, "/openapi.json", None).await;
    let etag = headers[header::ETAG].clone();
    let weak = HeaderValue::try_from(format!("\"x\", W/{}", etag.to_str().unwrap())).unwrap();
    for known in [etag, weak, HeaderValue::from_static("*")] {
        let (status, headers, text) = fetch(&edge, "/openapi.json", Some(&known)).await;
        assert_eq!((status, text.len()), (StatusCode::NOT_MODIFIED, 0), "{known:?}");
        assert!(headers.contains_key(header::ETAG));
    }
    let request = Request::head("/openapi.json").header("host", "test").header(header::IF_NONE_MATCH, "*");
    let response = send(&edge, request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH), "it would be that of the document");
    let (status, ..) = fetch(&edge, "/openapi.yaml", Some(&headers[header::ETAG])).await;
    assert_eq!(status, StatusCode::OK, "the other form has a tag of its own");
}

#[tokio::test]
async fn the_document_is_made_and_compressed_once_and_on_no_worker() {
    let edge = edge(config());
    let packed = async || {
        let request = Request::get("/openapi.json").header("host", "test").header("accept-encoding", "br");
        let (parts, mut body) = send(&edge, request.body(Body::empty()).unwrap()).await.into_parts();
        assert!(parts.headers[header::ETAG].as_bytes().starts_with(b"W/"));
        assert_eq!(parts.headers[header::CONTENT_ENCODING], "br");
        body.frame().await.unwrap().unwrap().into_data().unwrap()
    };
    assert!(poll!(Box::pin(packed())).is_pending(), "it is made elsewhere");
    fetch(&edge, "/openapi.json", None).await;
    assert!(poll!(Box::pin(packed())).is_pending(), "it is compressed elsewhere");
    let (first, second) = (packed().await, packed().await);
    assert_eq!(first.as_ptr(), second.as_ptr(), "the same bytes");
}
