use proptest::prelude::*;
use prost_types::{ListValue, Struct};

use super::*;

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn field<T>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(Error::Invalid(invalid)) => invalid.field,
        _ => "accepted",
    }
}

#[test]
fn queue_names_are_80_plain_characters_and_none_is_the_default() {
    for (name, expected) in [("", "default"), ("a", "a"), ("A-z_0.9", "A-z_0.9"), (&"q".repeat(80), &"q".repeat(80))] {
        assert_eq!(queue(name.to_owned()).expect("valid"), expected);
    }
    for bad in [" ", "a/b", "ñ", "a b", &"q".repeat(81)] {
        assert_eq!(field(queue(bad.to_owned())), "queue", "{bad:?}");
    }
}

#[test]
fn numbers_are_held_to_their_ranges() {
    assert_eq!((count(0).expect("1"), count(1).expect("1"), count(10).expect("10")), (1, 1, 10));
    assert_eq!((delay(0).expect("none"), delay(43_200_000).expect("12 h")), (0, 43_200_000));
    assert_eq!((visibility(0).expect("default"), visibility(1_000).expect("1 s")), (30_000, 1_000));
    assert_eq!((wait(0).expect("none"), wait(20_000).expect("20 s")), (0, 20_000));
    for bad in [-1, 11, i32::MIN] {
        assert_eq!(field(count(bad)), "max_messages");
    }
    for bad in [-1, 43_200_001] {
        assert_eq!(field(delay(bad)), "delay_ms");
    }
    for bad in [-1, 999, 43_200_001] {
        assert_eq!((field(visibility(bad)), field(extension(bad))), ("visibility_ms", "visibility_ms"));
    }
    assert_eq!(field(extension(0)), "visibility_ms", "an extension has no default");
    for bad in [-1, 20_001] {
        assert_eq!(field(wait(bad)), "wait_ms");
    }
}

#[test]
fn keys_have_255_visible_characters_and_none_is_none() {
    let key = |text: &str| key(text.to_owned(), None, "user a");
    assert_eq!(key("").expect("none"), None);
    let longest = "~".repeat(255);
    assert_eq!(key(&longest).expect("valid"), Some(longest.clone()));
    // The second would be another caller's.
    for bad in [&"k".repeat(256), "k\nuser b", "a b", "é"] {
        assert_eq!(field(key(bad)), "idempotency_key", "{bad:?}");
    }
}

#[test]
fn a_calls_key_is_its_callers_and_agrees_with_the_messages() {
    let of_call = |text: &str, owner: &str| key(text.to_owned(), Some("k"), owner);
    assert_eq!(of_call("k", "user a").expect("valid").as_deref(), Some("k"));
    assert_ne!(of_call("", "user a").expect("valid"), of_call("", "user b").expect("valid"));
    assert_eq!(field(of_call("other", "user a")), "idempotency_key");
}

#[test]
fn null_is_a_body_and_nothing_is_none() {
    assert_eq!(Body::new(Some(&value(Kind::NullValue(0)))).expect("null").json_bytes, 4);
    let hole = value(Kind::ListValue(ListValue { values: vec![Value { kind: None }] }));
    let nan = value(Kind::NumberValue(f64::NAN));
    for bad in [None, Some(&Value { kind: None }), Some(&hole), Some(&nan)] {
        assert_eq!(field(Body::new(bad)), "body", "{bad:?}");
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no whole floats", |n| n.fract() != 0.0).prop_map(Into::into),
        "\\PC*|[\\x00-\\x1f\"\\\\]*".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::btree_map("\\PC{0,5}", inner, 0..5)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn proto(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    value(match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(bool) => Kind::BoolValue(*bool),
        Json::Number(number) => Kind::NumberValue(number.as_f64().expect("a double")),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(proto).collect() }),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), proto(value))).collect();
            Kind::StructValue(Struct { fields })
        }
    })
}

proptest! {
    #[test]
    fn a_body_is_measured_as_json_text(json in json()) {
        let body = Body::new(Some(&proto(&json))).expect("a JSON value");
        prop_assert_eq!(body.json_bytes, i64::try_from(json.to_string().len()).expect("small"));
    }

    #[test]
    fn fingerprints_do_not_depend_on_the_order_of_keys(
        fields in proptest::collection::btree_map("[a-z]{1,3}", any::<bool>(), 0..6),
    ) {
        let object = |fields: Vec<(&String, &bool)>| {
            let fields = fields.into_iter().map(|(key, bool)| (key.clone(), value(Kind::BoolValue(*bool)))).collect();
            Body::new(Some(&value(Kind::StructValue(Struct { fields })))).expect("an object").fingerprint()
        };
        prop_assert_eq!(object(fields.iter().collect()), object(fields.iter().rev().collect()));
    }
}
