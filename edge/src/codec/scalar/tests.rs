use prost_reflect::Value;

use super::*;
use crate::fixture;

fn parse_field(field: &str, text: &str) -> Result<Value, String> {
    parse(&fixture::method("Get").input().get_field_by_name(field).unwrap().kind(), text, false)
}

#[test]
fn numbers() {
    for (field, text, expected) in [
        ("i32", "-7", Some(Value::I32(-7))),
        ("i32", "1e2", Some(Value::I32(100))),
        ("i32", "1.0", Some(Value::I32(1))),
        ("i32", "1.5", None),
        ("i32", "+1", None),
        ("i32", "2147483648", None),
        ("i32", "", None),
        ("i32", " 1", None),
        ("u32", "-1", None),
        ("i64", "9007199254740993", Some(Value::I64(9_007_199_254_740_993))),
        ("i64", "9223372036854775808", None),
        ("u64", "18446744073709551615", Some(Value::U64(u64::MAX))),
        ("double", "-Infinity", Some(Value::F64(f64::NEG_INFINITY))),
        ("double", "1e3", Some(Value::F64(1e3))),
        ("double", "inf", None),
        ("double", "nan", None),
        ("double", "infinity", None),
        ("double", "1e999", None),
        ("float", "1e39", None),
        ("float", "0.5", Some(Value::F32(0.5))),
    ] {
        assert_eq!(parse_field(field, text).ok(), expected, "{field}={text}");
    }
    assert!(matches!(parse_field("double", "NaN"), Ok(Value::F64(number)) if number.is_nan()));
}

#[test]
fn bools_are_strict_unless_lenient() {
    for (text, strict, lenient) in [
        ("true", Some(true), Some(true)),
        ("false", Some(false), Some(false)),
        ("True", None, Some(true)),
        ("False", None, Some(false)),
        ("1", None, Some(true)),
        ("yes", None, Some(true)),
        ("", None, None),
        ("2", None, None),
    ] {
        assert_eq!(boolean(text, false), strict, "{text}");
        assert_eq!(boolean(text, true), lenient, "{text}");
    }
}

#[test]
fn bytes_take_both_alphabets_padded_or_not() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(parse_field("data", text), Ok(Value::Bytes(vec![0xfb, 0xff].into())), "{text}");
    }
    assert!(parse_field("data", "!").is_err());
}

#[test]
fn enums_by_name_or_number() {
    assert_eq!(parse_field("color", "COLOR_RED"), Ok(Value::EnumNumber(1)));
    assert_eq!(parse_field("color", "7"), Ok(Value::EnumNumber(7)));
    assert_eq!(parse_field("color", "red").unwrap_err(), "must be one of COLOR_UNSPECIFIED, COLOR_RED");
}

#[test]
fn well_known_types_have_their_text_forms() {
    for (field, good, bad) in [
        ("time", "2026-01-31T12:00:00Z", "yesterday"),
        ("time", "2026-01-31T12:00:00.5+02:00", "2026-01-31"),
        ("wait", "1.5s", "1m"),
    ] {
        assert!(parse_field(field, good).is_ok(), "{good}");
        assert!(parse_field(field, bad).is_err(), "{bad}");
    }
    assert!(parse_field("text", "x").is_ok());
    assert!(parse_field("sub", "x").is_err());
    let mask = parse_field("mask", "a,b.cD,e_f").unwrap();
    let paths = mask.as_message().unwrap().get_field_by_name("paths").unwrap().into_owned();
    let paths: Vec<_> = paths.as_list().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["a", "b.c_d", "e_f"]);
}
