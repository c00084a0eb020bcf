//! What only proto2 has: extensions and groups.

use super::*;
use crate::json::{EncodeOptions, Encoder};

const PROTO: &str = r#"syntax = "proto2"; package p; service S { rpc M(R) returns (R); }
    message R { optional int32 i = 1; optional group Grp = 2 { optional int32 a = 1; } optional Inner inner = 3;
      extensions 100 to 200; }
    message Inner { repeated group Many = 1 { optional int32 b = 1; } optional int32 c = 2; }
    extend R { optional int32 x = 100; optional Inner y = 101; optional group Z = 102 { optional int32 d = 1; } }"#;

/// The message as JSON, or what is wrong with the request.
fn decoded(body: &str, query: &str, payload: Payload<'_>) -> String {
    let plan = plan_of(&Arc::new(fixture::schema(PROTO)), "/v1", body);
    let (mut wire, mut json) = (Vec::new(), Vec::new());
    if let Err(violations) = plan.decode::<&str>(&[], query, payload, &mut wire) {
        return violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    }
    Encoder::new(&plan.schema, EncodeOptions::default()).message(plan.message, &wire, &mut json).unwrap();
    String::from_utf8(json).unwrap()
}

/// Items 58 and 68.
#[test]
fn a_form_may_begin_with_an_extension() {
    for (text, expected) in [
        ("[p.x]=5", r#"{"[p.x]":5}"#),
        ("[p.y].c=5&i=1", r#"{"i":1,"[p.y]":{"c":5}}"#),
        ("%5Bp.x%5D=5", r#"{"[p.x]":5}"#),
        ("[1]", "looks like JSON"),
        (r#"[{"a]":1}]"#, "looks like JSON"),
        (r#"{"[p.x]=":5}"#, "looks like JSON"),
    ] {
        let decoded = decoded("*", "", form(text));
        assert!(decoded.starts_with(expected), "{text}: {decoded}");
    }
}

/// Item 58.
#[test]
fn groups_are_in_json_alone() {
    let text = r#"{"grp":{"a":1},"inner":{"many":[{"b":2}]},"[p.z]":{"d":3}}"#;
    assert_eq!(decoded("*", "", json(text)), text);
    for name in ["grp.a", "grp", "inner.many.b", "[p.z].d", "[p.z]"] {
        let expected = format!("{name}: names a group, which only a JSON body can hold");
        assert_eq!(decoded("", &format!("{name}=1"), Payload::Empty), expected);
        assert_eq!(decoded("*", "", form(&format!("i=1&{name}=1"))), expected);
    }
}
