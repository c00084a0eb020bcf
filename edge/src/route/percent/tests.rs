use super::*;

#[test]
fn values_decode_once() {
    for (raw, single, multi) in [
        ("a%2Fb", "a/b", "a%2Fb"),
        ("a%2fb", "a/b", "a%2fb"),
        ("a%252Fb", "a%2Fb", "a%2Fb"),
        ("100%25", "100%", "100%"),
        ("c%20d%3A", "c d:", "c d:"),
        ("a+b", "a+b", "a+b"),
        ("%2e%2e", "..", ".."),
        ("%C3%B1", "ñ", "ñ"),
    ] {
        assert_eq!(decode(raw, false).as_deref(), Ok(single), "{raw}");
        assert_eq!(decode(raw, true).as_deref(), Ok(multi), "{raw}");
    }
}

#[test]
fn bad_escapes_and_bad_utf8_are_refused() {
    for raw in ["%zz", "%4", "%", "a%+1"] {
        assert_eq!(decode(raw, false), Err(DecodeError::BadEscape), "{raw}");
    }
    assert_eq!(decode("%ff", false), Err(DecodeError::NotUtf8));
}

#[test]
fn literals_compare_normalised() {
    for (left, right, equal) in
        [("a-b", "a%2Db", true), ("a%2fb", "a%2Fb", true), ("a/b", "a%2Fb", false), ("%zz", "%zz", true)]
    {
        assert_eq!(normalise(left) == normalise(right), equal, "{left} {right}");
    }
}
