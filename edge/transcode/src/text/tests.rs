use super::*;
use crate::fixture::schema;

const PROTO: &str = r#"syntax = "proto3"; import "google/protobuf/wrappers.proto"; import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto"; import "google/protobuf/struct.proto";
    message M { int32 i = 1; sint64 s = 2; bool b = 3; string t = 4; bytes y = 5; E e = 6; float f = 7; optional int32 o = 8;
      repeated int32 many = 9; google.protobuf.Int32Value w = 10; google.protobuf.Duration d = 11;
      google.protobuf.FieldMask m = 12; M child = 13; fixed32 x = 14; google.protobuf.Struct z = 15; }
    enum E { ZERO = 0; ONE = 1; }"#;

fn put(name: &str, text: &str, lenient: bool) -> Result<Vec<u8>, String> {
    let schema = schema(PROTO);
    let field = schema[schema.find_message("M").unwrap()].field(name).unwrap();
    let mut out = vec![7];
    let result = put_field(&schema, field, text, lenient, &mut out);
    assert!(result.is_ok() || out == [7]);
    result.map(|()| out[1..].to_vec())
}

#[test]
fn values_come_with_their_tag_and_defaults_not_at_all() {
    assert_eq!(put("i", "-1", false).unwrap(), [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    assert_eq!(put("i", "1e2", false).unwrap(), [8, 100]);
    assert_eq!(put("s", "-1", false).unwrap(), [16, 1]);
    assert_eq!(put("x", "1", false).unwrap(), [117, 1, 0, 0, 0]);
    assert_eq!(put("y", "-_8", false).unwrap(), [42, 2, 0xfb, 0xff]);
    assert_eq!(put("e", "ONE", false).unwrap(), [48, 1]);
    assert_eq!(put("e", "77", false).unwrap(), [48, 77]);
    assert_eq!(put("w", "5", false).unwrap(), [82, 2, 8, 5]);
    assert_eq!(put("w", "0", false).unwrap(), [82, 0]);
    assert_eq!(put("d", "1.5s", false).unwrap(), [90, 8, 8, 1, 16, 128, 202, 181, 238, 1]);
    assert_eq!(put("m", "a,b_c,dE", false).unwrap(), b"\x62\x0d\x0a\x01a\x0a\x03b_c\x0a\x03d_e");
    for (name, text) in [("i", "0"), ("b", "false"), ("t", ""), ("y", ""), ("e", "ZERO"), ("f", "0.0"), ("x", "0")] {
        assert_eq!(put(name, text, false).unwrap(), Vec::<u8>::new(), "{name}");
    }
    assert_eq!(put("f", "-0.0", false).unwrap(), [61, 0, 0, 0, 128]);
    assert_eq!(put("o", "0", false).unwrap(), [64, 0]);
    assert_eq!(put("many", "0", false).unwrap(), [72, 0]);
}

#[test]
fn what_is_wrong_says_what_would_be_right() {
    assert_eq!(put("i", "2147483648", false).unwrap_err(), "must be a 32-bit integer");
    assert_eq!(put("b", "True", false).unwrap_err(), "must be true or false");
    assert_eq!(put("e", "ON", false).unwrap_err(), "has no value of this name; did you mean ONE?");
    assert_eq!(put("e", "one", false).unwrap_err(), "has no value of this name; did you mean ONE?");
    assert_eq!(put("e", "BLUEBERRY", false).unwrap_err(), "must be one of ZERO, ONE");
    assert_eq!(put("d", "1m", false).unwrap_err(), "must be seconds like 1.5s, at most 315576000000");
    assert_eq!(put("child", "x", false).unwrap_err(), "is a message; name one of its fields");
    assert_eq!(put("z", "{}", false).unwrap_err(), "may be any JSON, which only a body can hold here");
    assert_eq!(put("f", "inf", false).unwrap_err(), "must be a number that fits a float");
}

#[test]
fn lenient_takes_what_old_clients_write() {
    assert_eq!(put("b", "True", true).unwrap(), [24, 1]);
    assert_eq!(put("b", "1", true).unwrap(), [24, 1]);
    assert_eq!(put("e", "one", true).unwrap(), [48, 1]);
}

#[test]
fn what_has_text_can_be_put() {
    let schema = schema(PROTO);
    let message = &schema[schema.find_message("M").unwrap()];
    let without: Vec<_> = message.fields.iter().filter(|field| !has_text(&schema, field.kind)).collect();
    assert_eq!(without.iter().map(|field| &*field.name).collect::<Vec<_>>(), ["child", "z"]);
}
