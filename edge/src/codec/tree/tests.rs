use super::*;

#[test]
fn what_is_not_strict_json_is_refused_with_its_place() {
    for (text, expected) in [
        (r#"[{"b":{"a":1,"a":2}}]"#, "duplicate key \"a\" at line 1 column 16"),
        (r#"{"a":1,"a":2}"#, "duplicate key \"a\" at line 1 column 10"),
        ("{\n  \"a\": 1,\n}", "trailing comma at line 3 column 1"),
        (r#"{"a":1} x"#, "trailing characters at line 1 column 9"),
        ("{a:1}", "key must be a string at line 1 column 2"),
        ("{'a':1}", "key must be a string at line 1 column 2"),
        ("\u{feff}{}", "expected value at line 1 column 1"),
        ("", "EOF while parsing a value at line 1 column 0"),
        ("NaN", "expected value at line 1 column 1"),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(format!("malformed JSON: {expected}")), "{text}");
    }
    assert!(parse(b"\"\xff\"").is_err());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    assert!(parse(nested(DEPTH_MAX + 2).as_bytes()).unwrap_err().contains("nested deeper"));
}

#[test]
fn integers_stay_exact() {
    assert_eq!(parse(b"18446744073709551615").unwrap().to_string(), "18446744073709551615");
    assert_eq!(parse(b"-9007199254740993").unwrap().to_string(), "-9007199254740993");
}
