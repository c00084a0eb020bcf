use prost::Message as _;

use super::*;
use crate::descriptor::FileDescriptorSet;
use crate::fixture::{compile, schema};

const PROTO: &str = r#"syntax = "proto3"; import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto"; import "google/protobuf/field_mask.proto";
    message M { string first_name = 1; int64 big = 2; repeated int32 many = 3; map<string, int32> labels = 4; M child = 5;
      oneof o { string a = 6; int32 b = 7; } google.protobuf.Any any = 8; google.protobuf.Value value = 9;
      optional int32 maybe = 10; google.protobuf.Timestamp time = 11; E colour = 12; double d = 13;
      google.protobuf.FieldMask mask = 14; repeated string names = 15; }
    enum E { ZERO = 0; ONE = 1; }"#;

fn encode_with(wire: &[u8], options: EncodeOptions<'_>) -> Result<String, String> {
    let schema = schema(PROTO);
    let mut out = b"before".to_vec();
    let id = schema.find_message("M").unwrap();
    let result = Encoder::new(&schema, options).message(id, wire, &mut out);
    assert!(out.starts_with(b"before") && (result.is_ok() || out.len() == 6));
    result.map(|()| String::from_utf8(out[6..].to_vec()).unwrap()).map_err(|error| error.to_string())
}

#[track_caller]
fn written(wire: &[u8], expected: &str) {
    assert_eq!(encode_with(wire, EncodeOptions::default()).as_deref(), Ok(expected));
}

#[test]
fn fields_come_in_order_and_once_whatever_the_wire_has() {
    written(b"\x10\x05\x0a\x01x", r#"{"firstName":"x","big":"5"}"#);
    written(b"\x10\x05\x10\x06", r#"{"big":"6"}"#);
    written(b"\x1a\x02\x01\x02\x18\x03\x1a\x01\x04", r#"{"many":[1,2,3,4]}"#);
    written(b"\x18\x01\xa8\x3f\x05\x18\x02", r#"{"many":[1,2]}"#);
    written(b"\x2a\x02\x10\x01\x10\x07\x2a\x03\x0a\x01x", r#"{"big":"7","child":{"firstName":"x","big":"1"}}"#);
    written(b"\x32\x01x\x38\x05", r#"{"b":5}"#);
    written(b"\x38\x05\x32\x01x", r#"{"a":"x"}"#);
    written(
        b"\x22\x05\x0a\x01b\x10\x01\x22\x05\x0a\x01a\x10\x02\x22\x05\x0a\x01b\x10\x03",
        r#"{"labels":{"a":2,"b":3}}"#,
    );
    written(b"\x22\x00", r#"{"labels":{"":0}}"#);
    written(b"\x22\x08\x0a\x01a\x0a\x01b\x10\x01", r#"{"labels":{"b":1}}"#);
    written(b"\x10\x00\x60\x00", "{}");
    written(b"\x0a\x80\x00\x10\x80\x80\x00", "{}");
    written(b"\x1a\x00", "{}");
    written(b"\x60\x80\x80\x80\x80\x10", "{}");
    written(b"\x69\0\0\0\0\0\0\0\x80", r#"{"d":-0}"#);
    written(b"\x12\x01x\x15\0\0\0\0", "{}");
}

#[test]
fn options_change_what_is_written() {
    let wire = b"\x0a\x01x\x10\x05\x60\x01";
    let with = |options| encode_with(wire, options).unwrap();
    let default = EncodeOptions::default();
    assert_eq!(
        with(EncodeOptions { proto_names: true, enum_numbers: true, int64_numbers: true, ..default }),
        r#"{"first_name":"x","big":5,"colour":1}"#
    );
    let absent = |defaults| encode_with(b"\x10\x05", EncodeOptions { defaults, ..default }).unwrap();
    assert_eq!(
        absent(Defaults::Implicit),
        r#"{"firstName":"","big":"5","many":[],"labels":{},"colour":"ZERO","d":0,"names":[]}"#
    );
    assert_eq!(
        absent(Defaults::All),
        r#"{"firstName":"","big":"5","many":[],"labels":{},"child":null,"any":null,"maybe":null,"time":null,"colour":"ZERO","d":0,"mask":null,"names":[]}"#
    );
}

#[test]
fn numbers_are_the_shortest_that_are_read_back() {
    for (value, text) in [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e300, "1e300"),
        (f64::NAN, "\"NaN\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
        (123_456_789.125, "123456789.125"),
    ] {
        let mut wire = vec![105];
        wire.extend_from_slice(&f64::to_le_bytes(value));
        let json = encode_with(&wire, EncodeOptions::default()).unwrap().replace("e+", "e");
        assert_eq!(json, format!("{{\"d\":{text}}}"));
    }
    for value in [0_u64, 9, 10, 99, 100, 101, 1000, 12_345, i64::MAX as u64, i64::MIN as u64, u64::MAX] {
        let mut wire = vec![16];
        crate::wire::put_varint(&mut wire, value);
        let options = EncodeOptions { defaults: Defaults::Implicit, ..EncodeOptions::default() };
        assert!(encode_with(&wire, options).unwrap().contains(&format!("\"big\":\"{}\"", value as i64)));
    }
}

#[test]
fn what_has_no_json_names_the_message() {
    let refused = |wire: &[u8]| encode_with(wire, EncodeOptions::default()).unwrap_err();
    assert_eq!(refused(b"\x0a\x05x"), "malformed M");
    assert_eq!(refused(b"\x0b"), "malformed M");
    assert_eq!(refused(b"\x0c"), "malformed M");
    assert_eq!(refused(b"\x0a\x01\xff"), "M.first_name is not UTF-8");
    assert_eq!(refused(b"\x5a\x02\x10\x80"), "malformed google.protobuf.Timestamp");
    let negative = b"\x5a\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(refused(negative), "google.protobuf.Timestamp is not in the years 1 to 9999");
    assert_eq!(refused(b"\x72\x03\x0a\x01A"), "google.protobuf.FieldMask has a path that is not in snake case");
    let infinite = b"\x4a\x09\x11\0\0\0\0\0\0\xf0\x7f";
    assert_eq!(refused(infinite), "google.protobuf.Value is a number that JSON does not have");
    let deep = (0..200).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut outer = vec![42];
        crate::wire::put_bytes(&mut outer, &inner);
        outer
    });
    assert_eq!(refused(&deep), "messages nest deeper than 100");
    let small = EncodeOptions { bytes_max: 5, ..EncodeOptions::default() };
    assert_eq!(encode_with(b"\x10\x05", small).unwrap_err(), "the JSON would have more than 5 bytes");
}

#[test]
fn an_any_of_unknown_type_is_kept_when_asked() {
    let wire = b"\x42\x08\x0a\x03t/X\x12\x01\xff";
    assert_eq!(
        encode_with(wire, EncodeOptions::default()).unwrap_err(),
        "a google.protobuf.Any of unknown type \"t/X\""
    );
    let opaque = EncodeOptions { opaque_any: true, ..EncodeOptions::default() };
    assert_eq!(encode_with(wire, opaque).unwrap(), r#"{"any":{"@type":"t/X","value":"/w=="}}"#);
    let others = [crate::fixture::schema("syntax = \"proto3\"; message X { int32 x = 1; }").into()];
    let elsewhere = EncodeOptions { any: &others, ..EncodeOptions::default() };
    let wire = b"\x42\x09\x0a\x03t/X\x12\x02\x08\x05";
    assert_eq!(encode_with(wire, elsewhere).unwrap(), r#"{"any":{"@type":"t/X","x":5}}"#);
}

#[test]
fn what_is_out_of_order_is_looked_at_twice_at_most_however_deep_it_is() {
    let deep = (0..95).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut outer = vec![42];
        crate::wire::put_bytes(&mut outer, &inner);
        outer.extend_from_slice(b"\x0a\x01x");
        outer
    });
    let json = encode_with(&deep, EncodeOptions::default()).unwrap();
    assert!(json.starts_with(r#"{"firstName":"x","child":{"firstName":"x","child""#), "{json}");
    // Nor does it make a type unknown.
    let others = [crate::fixture::schema("syntax = \"proto3\"; message X { int32 x = 1; int32 y = 2; }").into()];
    let options = EncodeOptions { any: &others, opaque_any: true, ..EncodeOptions::default() };
    let wire = b"\x42\x0b\x0a\x03t/X\x12\x04\x10\x05\x08\x06";
    assert_eq!(encode_with(wire, options).unwrap(), r#"{"any":{"@type":"t/X","x":6,"y":5}}"#);
}

#[test]
fn an_answers_body_can_be_any_field() {
    let schema = schema(PROTO);
    let id = schema.find_message("M").unwrap();
    let field = |name: &str, wire: &[u8]| {
        let mut out = Vec::new();
        let position = schema[id].position(name.as_bytes()).unwrap();
        Encoder::new(&schema, EncodeOptions::default()).field(id, position, wire, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let wire = b"\x0a\x01x\x1a\x02\x01\x02\x22\x05\x0a\x01a\x10\x02\x2a\x02\x10\x01";
    assert_eq!(field("firstName", wire), "\"x\"");
    assert_eq!(field("many", wire), "[1,2]");
    assert_eq!(field("many", b"\x1a\x00"), "[]");
    assert_eq!(field("labels", wire), r#"{"a":2}"#);
    assert_eq!(field("child", wire), r#"{"big":"1"}"#);
    let absent = ["big", "names", "labels", "any", "maybe", "colour"].map(|name| field(name, b""));
    assert_eq!(absent, ["\"0\"", "[]", "{}", "null", "0", "\"ZERO\""]);
}

/// Protobuf's rule for what was set several times: of a oneof the last member, and of that what came after any other.
#[test]
fn a_member_set_again_begins_anew() {
    let proto = r#"syntax = "proto3"; package p; message M { oneof o { P a = 1; string b = 2; } }
        message P { int32 x = 1; int32 y = 2; }"#;
    let schema = schema(proto);
    let id = schema.find_message("p.M").unwrap();
    let encode = |wire: &[u8]| {
        let mut out = Vec::new();
        Encoder::new(&schema, EncodeOptions::default()).message(id, wire, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(encode(b"\x0a\x02\x08\x01\x12\x01s\x0a\x02\x10\x02"), r#"{"a":{"y":2}}"#);
    assert_eq!(encode(b"\x12\x01s\x0a\x02\x08\x01\x0a\x02\x10\x02"), r#"{"a":{"x":1,"y":2}}"#);
    assert_eq!(encode(b"\x0a\x02\x08\x01\x12\x01s"), r#"{"b":"s"}"#);
}

/// What a newer peer wrote is an unknown field, and those leave what is known as it is.
#[test]
fn a_number_that_a_closed_enum_lacks_takes_no_values_place() {
    let proto = r#"syntax = "proto2"; package p; enum C { ONE = 1; TWO = 2; MINUS = -3; } message M { optional C c = 6;
        oneof o { string a = 17; C b = 18; M m = 19; } map<string, C> by_name = 20; repeated C many = 21; }"#;
    let schema = schema(proto);
    let id = schema.find_message("p.M").unwrap();
    let encode = |wire: &[u8], defaults| {
        let mut out = Vec::new();
        let options = EncodeOptions { defaults, ..EncodeOptions::default() };
        Encoder::new(&schema, options).message(id, wire, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for (wire, expected) in [
        (b"\x30\x01\x30\x07".as_slice(), r#"{"c":"ONE"}"#),
        (b"\x30\x07\x30\x01\x30\x08", r#"{"c":"ONE"}"#),
        (b"\x30\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01\x30\x07", r#"{"c":"MINUS"}"#),
        (b"\x8a\x01\x01x\x90\x01\x07", r#"{"a":"x"}"#),
        (b"\x9a\x01\x02\x30\x01\x90\x01\x07", r#"{"m":{"c":"ONE"}}"#),
        (b"\x90\x01\x07\x8a\x01\x01x", r#"{"a":"x"}"#),
        (b"\xa2\x01\x05\x0a\x01k\x10\x01\xa2\x01\x05\x0a\x01k\x10\x07", r#"{"byName":{"k":"ONE"}}"#),
        (b"\xa8\x01\x07\xa8\x01\x01", r#"{"many":["ONE"]}"#),
        (b"\x30\x07", "{}"),
    ] {
        assert_eq!(encode(wire, Defaults::Omit), expected, "{wire:x?}");
    }
    assert_eq!(encode(b"\x30\x01\x30\x07", Defaults::All), r#"{"c":"ONE","byName":{},"many":[]}"#);
    assert_eq!(encode(b"\x30\x07", Defaults::All), r#"{"c":null,"byName":{},"many":[]}"#);
}

#[test]
fn an_answers_body_that_is_absent_is_its_declared_default() {
    let proto = r#"syntax = "proto2"; package p; enum E { RED = 1; BLUE = 2; }
        message M { optional E e = 1; optional E f = 2 [default = BLUE]; optional int32 i = 3 [default = -5];
          optional string s = 4 [default = "a\"b"]; optional double d = 5 [default = -inf]; optional bytes y = 6;
          optional bytes z = 7 [default = "\001\377x"]; }"#;
    let schema = schema(proto);
    let id = schema.find_message("p.M").unwrap();
    let field = |name: &str, wire: &[u8]| {
        let mut out = Vec::new();
        let position = schema[id].position(name.as_bytes()).unwrap();
        Encoder::new(&schema, EncodeOptions::default()).field(id, position, wire, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let absent = ["e", "f", "i", "s", "d", "y", "z"].map(|name| field(name, b""));
    assert_eq!(absent, [r#""RED""#, r#""BLUE""#, "-5", r#""a\"b""#, r#""-Infinity""#, r#""""#, r#""Af94""#]);
    assert_eq!(field("e", b"\x08\x07"), r#""RED""#, "a number that a closed enum does not have");
    for wire in [b"\x08\x02\x08\x07", b"\x08\x07\x08\x02"] {
        assert_eq!(field("e", wire), r#""BLUE""#, "it takes no value's place");
    }
}

#[test]
fn an_answers_body_is_the_same_in_whatever_order_it_comes() {
    let schema = schema(PROTO);
    let id = schema.find_message("M").unwrap();
    for (name, wire, expected) in [
        ("big", b"\x10\x05\x0a\x01x\x10\x06".as_slice(), r#""6""#),
        ("many", b"\x18\x01\x10\x05\x1a\x02\x02\x03", "[1,2,3]"),
        ("many", b"\x18\x01\xa8\x3f\x05\x18\x02", "[1,2]"),
        ("labels", b"\x22\x03\x0a\x01b\x10\x05\x22\x03\x0a\x01a", r#"{"a":0,"b":0}"#),
        ("child", b"\x2a\x02\x10\x01\x10\x07\x2a\x03\x0a\x01x", r#"{"firstName":"x","big":"1"}"#),
        ("a", b"\x32\x01x\x38\x05", r#""""#),
        ("b", b"\x32\x01x\x38\x05", "5"),
    ] {
        let (position, mut out) = (schema[id].position(name.as_bytes()).unwrap(), Vec::new());
        Encoder::new(&schema, EncodeOptions::default()).field(id, position, wire, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{name}");
    }
}

#[test]
fn strings_are_escaped_where_json_needs_it() {
    let text = "\"\\\n\r\t\u{8}\u{1f}\u{7f} ä 🍺 / a long enough tail";
    let mut wire = vec![10];
    crate::wire::put_bytes(&mut wire, text.as_bytes());
    let json = encode_with(&wire, EncodeOptions::default()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["firstName"], text);
}

#[test]
fn names_are_escaped_whatever_a_descriptor_calls_things() {
    let mut set = FileDescriptorSet::decode(compile(&[("odd.proto", PROTO)]).as_slice()).unwrap();
    let file = set.file.last_mut().unwrap();
    file.enum_type[0].value[1].name = "a\"b\n".into();
    let colour = file.message_type[0].field.iter_mut().find(|field| field.name == "colour").unwrap();
    colour.json_name = Some("co\"lour".into());
    let schema = Schema::new(&[&set.encode_to_vec()]).unwrap();
    let mut out = Vec::new();
    let encoder = Encoder::new(&schema, EncodeOptions::default());
    encoder.message(schema.find_message("M").unwrap(), b"\x60\x01", &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"co\"lour":"a\"b\n"}"#);
}
