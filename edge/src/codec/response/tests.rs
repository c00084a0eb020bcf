use serde_json::json;

use super::*;
use crate::codec::{Input, Payload, RequestPlan, Spec};
use crate::config::{Enums, Names};
use crate::fixture;

fn encode(response_body: &str, json: &Json, sent: &serde_json::Value) -> String {
    let method = fixture::method("Create");
    let request = RequestPlan::compile(&method, Spec { body: "*".into(), ..Spec::default() }).unwrap();
    let payload = Payload::Json(sent.to_string().into());
    let wire = request.decode(Input { variables: &[], query: "" }, payload).unwrap();
    match ResponsePlan::compile(&method, response_body, json).unwrap().encode(wire).unwrap() {
        Output::Json { text, .. } => String::from_utf8(text.to_vec()).unwrap(),
        Output::Raw(body) => panic!("raw: {body:?}"),
    }
}

#[test]
fn response_body_is_a_field_of_any_kind() {
    let sent = json!({
        "id": "a", "i64": "5", "tags": ["x"], "color": "COLOR_RED", "sub": { "name": "n", "count": 0 },
        "subs": [{ "count": 2, "name": "z" }], "labels": { "k": "v" }, "subMap": { "k": { "count": 1 } },
        "time": "2026-01-31T12:00:00Z", "any": [null],
    });
    for (field, expected) in [
        ("id", r#""a""#),
        ("flag", "false"),
        ("i64", r#""5""#),
        ("i32", "0"),
        ("tags", r#"["x"]"#),
        ("numbers", "[]"),
        ("color", r#""COLOR_RED""#),
        ("sub", r#"{"name":"n"}"#),
        ("subs", r#"[{"name":"z","count":2}]"#),
        ("labels", r#"{"k":"v"}"#),
        ("sub_map", r#"{"k":{"count":1}}"#),
        ("time", r#""2026-01-31T12:00:00Z""#),
        ("any", "[null]"),
    ] {
        assert_eq!(encode(field, &Json::default(), &sent), expected, "{field}");
    }
    assert_eq!(encode("sub", &Json::default(), &json!({})), "{}");
}

#[test]
fn names_defaults_and_enums_follow_the_config() {
    let sent = json!({ "pageSize": 1, "color": "COLOR_RED" });
    assert_eq!(encode("", &Json::default(), &sent), r#"{"color":"COLOR_RED","pageSize":1}"#);
    let config = Json { names: Names::Proto, enums: Enums::Number, ..Json::default() };
    assert_eq!(encode("", &config, &sent), r#"{"color":1,"page_size":1}"#);
    let config = Json { emit_defaults: true, ..Json::default() };
    assert_eq!(encode("sub", &config, &json!({ "sub": {} })), r#"{"name":"","count":0}"#);
    assert!(!encode("", &config, &sent).contains("maybe"), "presence is kept");
}

#[test]
fn integers_in_values_stay_integers() {
    let sent = json!({ "any": [1, -2.5, 9_007_199_254_740_992_i64, 1e300, 0], "double": 3.0 });
    let expected = r#"{"double":3,"any":[1,-2.5,9007199254740992,1e+300,0]}"#;
    assert_eq!(encode("", &Json::default(), &sent), expected);
}

#[test]
fn bytes_that_are_no_message_are_an_error() {
    let plan = ResponsePlan::compile(&fixture::method("Create"), "", &Json::default()).unwrap();
    let error = plan.encode(Bytes::from_static(b"\xff\xff")).unwrap_err();
    assert!(error.to_string().starts_with("the backend's answer is not a test.v1.Everything"), "{error}");
}

#[test]
fn response_body_must_be_a_field() {
    assert!(ResponsePlan::compile(&fixture::method("Create"), "nope", &Json::default()).is_err());
}
