use prost_reflect::DeserializeOptions;
use serde_json::json;

use super::*;
use crate::fixture;

fn message(json: &serde_json::Value) -> DynamicMessage {
    let descriptor = fixture::method("Create").input();
    DynamicMessage::deserialize_with_options(descriptor, json, &DeserializeOptions::new()).unwrap()
}

fn write(config: &Json, message: &DynamicMessage) -> String {
    let mut out = Vec::new();
    Writer::new(config).message(&mut out, message).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn map_entries_are_ordered_by_key() {
    let labels: serde_json::Map<_, _> = ('a'..='j').rev().map(|key| (key.to_string(), json!("v"))).collect();
    let expected = ('a'..='j').map(|key| format!("\"{key}\":\"v\"")).collect::<Vec<_>>().join(",");
    assert_eq!(
        write(&Json::default(), &message(&json!({ "labels": labels }))),
        format!("{{\"labels\":{{{expected}}}}}")
    );
}

/// Whatever the order, the content is that of prost-reflect's writer.
#[test]
fn content_is_what_prost_reflect_writes() {
    let full = message(&json!({
        "id": "a\"\u{1}ñ", "flag": true, "i32": -1, "i64": "-9007199254740993", "u32": 1, "u64": "18446744073709551615",
        "float": "-Infinity", "double": "NaN", "data": "AAH/", "color": "COLOR_RED", "tags": ["x"], "numbers": [1, 2],
        "sub": { "deep": { "count": 2 } }, "subs": [{}, { "name": "n" }], "labels": { "k": "v", "j": "" },
        "right": "", "time": "2026-01-31T12:00:00Z", "wait": "1.5s", "mask": "a,bC", "text": "", "maybe": 0,
        "any": { "a": [null, 0.5] }, "subMap": { "k": { "count": 1 } },
    }));
    let other = message(&json!({ "float": 0.1, "double": 0.1, "color": 7 }));
    for names in [Names::Camel, Names::Proto] {
        for enums in [Enums::Name, Enums::Number] {
            for emit_defaults in [false, true] {
                let config = Json { names, enums, emit_defaults };
                for message in [&full, &other] {
                    let mut theirs = Vec::new();
                    message.serialize_with_options(&mut serializer(&mut theirs), &options(&config)).unwrap();
                    let theirs: serde_json::Value = serde_json::from_slice(&theirs).unwrap();
                    let ours: serde_json::Value = serde_json::from_str(&write(&config, message)).unwrap();
                    assert_eq!(ours, theirs, "{config:?}");
                }
            }
        }
    }
}
