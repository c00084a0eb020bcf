use serde_json::json;

use super::*;
use crate::check::{Clashes, check};
use crate::fixture;
use crate::json::{DecodeOptions, Decoder};
use crate::rule::{Binding, Declared};

const PROTO: &str = r#"
syntax = "proto3";
package p;
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
service S { rpc List(Request) returns (Page); rpc Raw(Request) returns (google.api.HttpBody); rpc Field(Request) returns (Page); }
message Request { string page_token = 1; }
message Page {
  repeated Item items = 1; string next_page_token = 2; Item first = 3; bool flag = 4; int64 i64 = 5;
  map<string, string> labels = 6; google.protobuf.Value any = 7; google.api.HttpBody body = 8;
  google.protobuf.Any detail = 9; Color color = 10; double double = 11; optional int32 maybe = 12;
}
message Item { string name = 1; int32 count = 2; }
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
"#;

fn plan(method: &str, response_body: &str, options: ResponseOptions) -> ResponsePlan {
    let schema = Arc::new(fixture::schema(PROTO));
    let method = schema.find_method(&format!("p.S.{method}")).unwrap();
    let response_body = response_body.to_owned();
    let binding = Binding { http_method: "GET".into(), path: "/v1".into(), response_body, ..Binding::default() };
    let declared =
        Declared { schema: &schema, method, binding, index: 0, file: "".into(), line: 0, required_query: Vec::new() };
    let (table, findings) = check(vec![declared], Clashes::Refuse);
    let rule = table.rules().first().unwrap_or_else(|| panic!("{findings:?}"));
    ResponsePlan::new(schema.clone(), &rule.value, options)
}

fn wire(plan: &ResponsePlan, json: &serde_json::Value) -> Vec<u8> {
    let mut wire = Vec::new();
    let decoder = Decoder::new(&plan.schema, DecodeOptions::default());
    decoder.message(plan.message, json.to_string().as_bytes(), &[], &mut wire).unwrap();
    wire
}

#[test]
fn elements_have_an_id_where_the_path_leads_to_one() {
    let plan = plan("List", "first", ResponseOptions::default());
    let sent = wire(&plan, &json!({"first": {"name": "a"}, "nextPageToken": "b"}));
    assert_eq!(plan.event_id(&sent), "");
    assert_eq!(plan.clone().with_event_id("first.name").unwrap().event_id(&sent), "a");
    assert_eq!(plan.clone().with_event_id("next_page_token").unwrap().event_id(&sent), "b");
    assert_eq!(plan.clone().with_event_id("first.name").unwrap().event_id(&[]), "");
    for path in ["first.count", "first", "items.name", "nope"] {
        assert!(plan.clone().with_event_id(path).is_err(), "{path}");
    }
}

fn written(response_body: &str, options: ResponseOptions, sent: &serde_json::Value) -> String {
    let plan = plan("List", response_body, options);
    let mut out = b"x".to_vec();
    plan.json(&wire(&plan, sent), &mut out).unwrap();
    String::from_utf8(out).unwrap()[1..].to_owned()
}

#[test]
fn response_body_is_a_field_of_any_kind() {
    let sent = json!({
        "items": [{ "count": 2, "name": "z" }], "first": { "name": "n" }, "i64": "5", "any": [null],
        "labels": { "k": "v", "a": "b" }, "color": "COLOR_RED",
    });
    for (field, expected, absent) in [
        ("items", r#"[{"name":"z","count":2}]"#, "[]"),
        ("first", r#"{"name":"n"}"#, "{}"),
        ("flag", "false", "false"),
        ("i64", r#""5""#, r#""0""#),
        ("labels", r#"{"a":"b","k":"v"}"#, "{}"),
        ("any", "[null]", "null"),
        ("color", r#""COLOR_RED""#, r#""COLOR_UNSPECIFIED""#),
        ("next_page_token", r#""""#, r#""""#),
    ] {
        assert_eq!(written(field, ResponseOptions::default(), &sent), expected, "{field}");
        assert_eq!(written(field, ResponseOptions::default(), &json!({})), absent, "{field}");
    }
}

#[test]
fn names_defaults_and_enums_follow_the_options() {
    let sent = json!({ "nextPageToken": "t", "color": "COLOR_RED" });
    assert_eq!(written("", ResponseOptions::default(), &sent), r#"{"nextPageToken":"t","color":"COLOR_RED"}"#);
    let options = ResponseOptions { proto_names: true, enum_numbers: true, ..ResponseOptions::default() };
    assert_eq!(written("", options, &sent), r#"{"next_page_token":"t","color":1}"#);
    let options = ResponseOptions { defaults: Defaults::Implicit, ..ResponseOptions::default() };
    assert_eq!(written("first", options.clone(), &json!({ "first": {} })), r#"{"name":"","count":0}"#);
    assert!(!written("", options, &sent).contains("maybe"), "presence is kept");
}

#[test]
fn integers_in_values_stay_integers() {
    let sent = json!({ "any": [1, -2.5, 9_007_199_254_740_992_i64, 1e300, 0], "double": 3.0 });
    let expected = r#"{"any":[1,-2.5,9007199254740992,1e+300,0],"double":3}"#;
    assert_eq!(written("", ResponseOptions::default(), &sent), expected);
}

#[test]
fn types_are_found_wherever_they_are_declared() {
    let other = Arc::new(fixture::schema("syntax = \"proto3\"; package o; message Other { string name = 1; }"));
    let types: Arc<[Arc<Schema>]> = [other].into();
    let plan = plan("List", "detail", ResponseOptions { types, ..ResponseOptions::default() });
    let any = |url: &[u8], value: &[u8]| {
        let content =
            [&[0x0a, u8::try_from(url.len()).unwrap()], url, &[0x12, u8::try_from(value.len()).unwrap()], value]
                .concat();
        let mut out = Vec::new();
        plan.json(&[&[0x4a, u8::try_from(content.len()).unwrap()], content.as_slice()].concat(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(any(b"x/o.Other", b"\x0a\x01a"), r#"{"@type":"x/o.Other","name":"a"}"#);
    assert_eq!(any(b"x/p.Item", b"\x10\x02"), r#"{"@type":"x/p.Item","count":2}"#);
    assert_eq!(any(b"x/not.Known", b"\x01"), r#"{"@type":"x/not.Known","value":"AQ=="}"#);
    assert_eq!(any(b"x/o.Other", b"\xff"), r#"{"@type":"x/o.Other","value":"/w=="}"#);
}

#[test]
fn raw_answers_keep_their_bytes_and_type() {
    let body = b"\x0a\x09image/png\x12\x02\x00\xff";
    let whole = plan("Raw", "", ResponseOptions::default());
    assert!(whole.is_raw());
    assert_eq!(whole.raw(body).unwrap(), ("image/png", [0, 0xff].as_slice()));
    assert_eq!(whole.raw(b"").unwrap(), ("", [].as_slice()));
    let field = plan("Field", "body", ResponseOptions::default());
    assert!(field.is_raw());
    assert_eq!(field.raw(&[&[0x42, 15], body.as_slice()].concat()).unwrap().0, "image/png");
    assert!(!plan("Field", "", ResponseOptions::default()).is_raw());
    assert_eq!(field.raw(b"\xff").unwrap_err().to_string(), "malformed p.Page");
}

#[test]
fn a_list_alone_leaves_its_token_to_be_told_otherwise() {
    for (response_body, expected) in [("items", "t"), ("", ""), ("first", "")] {
        let plan = plan("List", response_body, ResponseOptions::default());
        assert_eq!(plan.next_page_token(&wire(&plan, &json!({ "nextPageToken": "t" }))), expected);
    }
}

#[test]
fn bytes_that_are_no_message_are_an_error() {
    let plan = plan("List", "", ResponseOptions::default());
    let mut out = Vec::new();
    assert_eq!(plan.json(b"\xff\xff", &mut out).unwrap_err().to_string(), "malformed p.Page");
    assert!(out.is_empty());
}
