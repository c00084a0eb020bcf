use super::*;
use crate::fixture::schema;

const PROTO: &str = r#"syntax = "proto2"; import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
    message M { optional string name = 1; optional int32 count = 2; repeated M items = 3; map<string, int32> labels = 4;
      optional M child = 5; oneof o { string a = 6; int32 b = 7; } optional google.protobuf.Any any = 8;
      optional google.protobuf.Value value = 9; repeated bool flags = 10; optional google.protobuf.Timestamp time = 11;
      optional E colour = 12; optional bytes data = 13; optional Must must = 14; repeated E colours = 15;
      optional google.protobuf.Int32Value wrapped = 16; }
    message Must { required string here = 1; required int32 there = 2; }
    enum E { RED = 1; GREEN = 2; }"#;

fn decode_with(json: &str, options: DecodeOptions<'_>, bound: &[Bound<'_>]) -> Result<Vec<u8>, Vec<String>> {
    let schema = schema(PROTO);
    let mut out = b"before".to_vec();
    let id = schema.find_message("M").unwrap();
    let result = Decoder::new(&schema, options).message(id, json.as_bytes(), bound, &mut out);
    assert!(out.starts_with(b"before") && (result.is_ok() || out.len() == 6));
    result.map(|()| out[6..].to_vec()).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn decode(json: &str) -> Result<Vec<u8>, Vec<String>> {
    decode_with(json, DecodeOptions::default(), &[])
}

#[track_caller]
fn refused(json: &str, expected: &[&str]) {
    assert_eq!(decode(json).unwrap_err(), expected, "{json}");
}

#[test]
fn one_answer_names_every_fault_by_its_path() {
    refused(
        r#"{"nmae": "x", "count": "1.5", "items": [{"count": 1}, {"count": true, "flags": [true, 0, false, "x"]}],
            "labels": {"a": 1, "b": null}, "time": "yesterday", "colour": "GREN", "data": "?", "child": []}"#,
        &[
            "nmae: is not a field of M; did you mean name?",
            "count: must be a 32-bit integer",
            "items[1].count: must be a 32-bit integer",
            "items[1].flags[1]: must be true or false",
            "items[1].flags[3]: must be true or false",
            "labels.b: must be a 32-bit integer",
            "time: must be a time like 2026-01-31T12:00:00Z, in the years 1 to 9999",
            "colour: has no value of this name; did you mean GREEN?",
            "data: must be base64",
            "child: must be an object",
        ],
    );
    let many = format!(r#"{{"items": [{}]}}"#, vec!["0"; 50].join(","));
    assert_eq!(decode(&many).unwrap_err().len(), VIOLATIONS_MAX);
}

#[test]
fn one_answer_names_every_inexact_number_of_a_list() {
    let options = DecodeOptions { exact_values: true, ..DecodeOptions::default() };
    let json = r#"{"value": [9007199254740993, 1, {"x": 9007199254740993, "y": [9007199254740993]}]}"#;
    let faults = decode_with(json, options, &[]).unwrap_err();
    let fields: Vec<_> = faults.iter().filter_map(|fault| fault.split(": ").next()).collect();
    assert_eq!(fields, ["value[0]", "value[2].x", "value[2].y[0]"]);
}

#[test]
fn what_is_no_json_says_where() {
    refused("", &["must be an object"]);
    refused("null", &["must be an object"]);
    refused("{\n  'name': 1}", &["malformed JSON: expected a string in double quotes at line 2, column 3"]);
    refused(r#"{"name": "x",}"#, &["malformed JSON: expected a string in double quotes at line 1, column 14"]);
    refused(
        r#"{"items": [{"count": 1 2}]}"#,
        &["items[0].count: malformed JSON: expected ',' or '}' at line 1, column 24"],
    );
    refused(r#"{} {}"#, &["malformed JSON: expected the end of the text at line 1, column 4"]);
    refused("\u{feff}{}", &["must be an object"]);
    refused(
        "{\"name\": \"a\nb\"}",
        &[
            "name: malformed JSON: expected no control character in a string; write it as an escape at line 1, column 12",
        ],
    );
    refused(
        r#"{"name": "\ud800"}"#,
        &["name: malformed JSON: expected both halves of a surrogate pair at line 1, column 17"],
    );
    refused(r#"{"count": 01}"#, &["count: malformed JSON: expected a value at line 1, column 11"]);
    refused(
        r#"{"count": NaN}"#,
        &["count: must be a 32-bit integer", "count: malformed JSON: expected a value at line 1, column 11"],
    );
    assert_eq!(decode("{\"name\": \"\u{e9}\"}").unwrap(), b"\n\x02\xc3\xa9");
    let schema = schema(PROTO);
    let (mut out, id) = (Vec::new(), schema.find_message("M").unwrap());
    let faults = Decoder::new(&schema, DecodeOptions::default()).message(id, b"{\"name\": \"\xff\"}", &[], &mut out);
    assert_eq!(faults.unwrap_err()[0].to_string(), "name: is not UTF-8 at byte 10");
}

#[test]
fn nothing_is_there_twice() {
    refused(r#"{"name": "a", "n\u0061me": "b"}"#, &["name: is there twice"]);
    refused(r#"{"labels": {"a": 1, "b": 2, "\u0061": 3}}"#, &["labels.a: is there twice"]);
    refused(r#"{"value": {"a": 1, "a": 2}}"#, &["value.a: is there twice"]);
    refused(r#"{"a": "x", "b": 1}"#, &["b: another field of the oneof o is there too"]);
    assert_eq!(decode(r#"{"a": null, "b": 1, "name": null}"#).unwrap(), [56, 1]);
}

#[test]
fn unknown_names_are_ignored_when_asked() {
    let options = DecodeOptions { ignore_unknown: true, ..DecodeOptions::default() };
    let json = r#"{"x": [{"y": "\n"}, 1e5, null], "colour": "BLUE", "colours": ["RED", "BLUE", "GREEN"], "count": 3}"#;
    assert_eq!(decode_with(json, options, &[]).unwrap(), [120, 1, 120, 2, 16, 3]);
    assert!(decode_with(r#"{"x": [}"#, options, &[]).is_err());
}

#[test]
fn what_proto2_requires_must_be_there() {
    refused(r#"{"must": {}}"#, &["must.here: is required", "must.there: is required"]);
    refused(r#"{"must": {"here": null, "there": 0}}"#, &["must.here: is required"]);
    assert_eq!(decode(r#"{"must": {"here": "", "there": 0}}"#).unwrap(), [114, 4, 10, 0, 16, 0]);
    refused(r#"{"colour": 3}"#, &["colour: must be one of RED, GREEN"]);
}

#[test]
fn depth_and_size_end_it() {
    let nested = |levels: usize| format!("{}{{}}{}", r#"{"child":"#.repeat(levels), "}".repeat(levels));
    assert!(decode(&nested(99)).is_ok());
    assert!(decode(&nested(100)).unwrap_err()[0].ends_with("nests deeper than 100 messages"));
    let lists = |levels: usize| format!(r#"{{"value": {}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(decode(&lists(49)).is_ok());
    assert!(decode(&lists(50)).is_err());
    assert!(decode(&lists(100_000)).is_err());
    let skipped = format!(r#"{{"x": {}"#, "[".repeat(100_000));
    assert!(decode_with(&skipped, DecodeOptions { ignore_unknown: true, ..DecodeOptions::default() }, &[]).is_err());
    let options = DecodeOptions { bytes_max: 8, ..DecodeOptions::default() };
    assert!(decode_with(r#"{"name": "123456"}"#, options, &[]).is_ok());
    assert_eq!(
        decode_with(r#"{"name": "1234567"}"#, options, &[]).unwrap_err(),
        ["has more than 8 bytes as a message"]
    );
}

#[test]
fn an_any_is_what_its_type_says() {
    let typed = r#"{"any": {"@type": "t/M", "count": 1}}"#;
    assert_eq!(decode(typed).unwrap(), b"\x42\x09\x0a\x03t/M\x12\x02\x10\x01");
    assert_eq!(decode(typed), decode(r#"{"any": {"count": 1, "@type": "t/M"}}"#));
    let known = r#"{"any": {"@type": "t/google.protobuf.Int32Value", "value": 1}}"#;
    assert!(decode(known).unwrap().ends_with(b"\x12\x02\x08\x01"));
    let twice = r#"{"any": {"@type": "t/google.protobuf.Any", "value": {"@type": "t/M", "count": 1}}}"#;
    assert!(decode(twice).unwrap().ends_with(b"\x12\x09\x0a\x03t/M\x12\x02\x10\x01"));
    assert_eq!(decode(r#"{"any": {}}"#).unwrap(), [66, 0]);
    refused(r#"{"any": {"count": 1}}"#, &["any: must have an \"@type\" that is a string"]);
    refused(r#"{"any": {"@type": "M"}}"#, &["any: has an \"@type\" that is not known: M"]);
    refused(r#"{"any": {"@type": "t/M", "@type": "t/M"}}"#, &["any.@type: is there twice"]);
    refused(r#"{"any": {"@type": "t/google.protobuf.Int32Value"}}"#, &["any: must have a \"value\""]);
    let deep = format!("{}1{}", r#"{"any": {"x": "#.repeat(3000), "}}".repeat(3000));
    assert!(decode(&deep).is_err());
}

#[test]
fn bound_fields_may_be_repeated_but_not_changed() {
    let name = Bound { path: &[0], wire: b"\n\x01x" };
    let below = Bound { path: &[4, 0], wire: b"\n\x01x" };
    let with = |json: &str| decode_with(json, DecodeOptions::default(), &[name, below]);
    assert_eq!(with(r#"{"name": "x", "count": 1}"#).unwrap(), [16, 1]);
    assert_eq!(with(r#"{"name": null, "child": {"name": "x", "count": 1}}"#).unwrap(), [42, 2, 16, 1]);
    assert_eq!(with(r#"{"items": [{"name": "y"}]}"#).unwrap(), b"\x1a\x03\n\x01y");
    let text = "differs from the value in the path; leave it out";
    assert_eq!(with(r#"{"name": "y"}"#).unwrap_err(), [format!("name: {text}")]);
    assert_eq!(with(r#"{"child": {"name": ""}}"#).unwrap_err(), [format!("child.name: {text}")]);
    let member = Bound { path: &[5], wire: b"\x32\x01x" };
    let of_oneof = |json: &str| decode_with(json, DecodeOptions::default(), &[member]);
    assert_eq!(of_oneof(r#"{"a": "x"}"#).unwrap(), b"");
    assert_eq!(of_oneof(r#"{"b": 1}"#).unwrap_err(), ["b: another field of the oneof o is there too"]);
}

#[test]
fn a_body_can_be_any_field() {
    let schema = schema(PROTO);
    let id = schema.find_message("M").unwrap();
    let field = |name: &str, json: &str| {
        let mut out = Vec::new();
        let position = schema[id].position(name.as_bytes()).unwrap();
        let decoder = Decoder::new(&schema, DecodeOptions::default());
        decoder
            .field(id, position, json.as_bytes(), &[], &mut out)
            .map(|()| out)
            .map_err(|faults| faults[0].to_string())
    };
    assert_eq!(field("name", r#""x""#).unwrap(), b"\n\x01x");
    assert_eq!(field("count", " 0 ").unwrap(), [16, 0]);
    assert_eq!(field("child", r#"{"count": 1}"#).unwrap(), [42, 2, 16, 1]);
    assert_eq!(field("items", r#"[{}, {"count": 1}]"#).unwrap(), [26, 0, 26, 2, 16, 1]);
    assert_eq!(field("labels", r#"{"a": 1}"#).unwrap(), b"\x22\x05\x0a\x01a\x10\x01");
    assert_eq!(field("child", "null").unwrap(), b"");
    assert_eq!(field("value", "null").unwrap(), [74, 2, 8, 0]);
    assert_eq!(field("count", r#""x""#).unwrap_err(), "must be a 32-bit integer");
    assert_eq!(field("items", r#"[{"cuont": 1}]"#).unwrap_err(), "[0].cuont: is not a field of M; did you mean count?");
}
