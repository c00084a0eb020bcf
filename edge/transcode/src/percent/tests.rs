use proptest::prelude::*;

use super::*;

fn decoded(raw: &str, keep: Keep) -> String {
    decode(raw, keep).map_or_else(|error| error.to_string(), Cow::into_owned)
}

/// D1, D2 and item 34: once, never twice.
#[test]
fn decoded_exactly_once() {
    for (raw, expected) in [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("100%25", "100%"), ("a+b", "a+b"), ("%C3%a9", "é")]
    {
        assert_eq!(decoded(raw, Keep::Nothing), expected);
    }
}

/// D4; the rows are Envoy's three modes.
#[test]
fn what_is_kept_is_kept_as_it_was_written() {
    let raw = "c%20d%3A%2f%2F%40%7E";
    assert_eq!(decoded(raw, Keep::Nothing), "c d://@~");
    assert_eq!(decoded(raw, Keep::Slash), "c d:%2f%2F@~");
    assert_eq!(decoded(raw, Keep::Reserved), "c d%3A%2f%2F%40~");
}

#[test]
fn what_cannot_be_decoded_is_told() {
    for raw in ["%zz", "%4", "a%", "%%41"] {
        assert_eq!(decode(raw, Keep::Nothing), Err(DecodeError::BadEscape), "{raw}");
        assert!(malformed(raw).is_some());
    }
    assert_eq!(decode("%ff", Keep::Slash), Err(DecodeError::NotUtf8));
    assert_eq!(malformed("%41%2fé"), None);
}

#[test]
fn spellings_of_one_text_are_one() {
    for (raw, expected) in [
        ("a%2Db", "a-b"),
        ("a%2db", "a-b"),
        ("%2f%3a", "%2F%3A"),
        ("%e9", "%E9"),
        ("%zz%e", "%zz%e"),
        ("%25%34", "%254"),
    ] {
        assert_eq!(normalise(raw), expected);
    }
}

proptest! {
    #[test]
    fn nothing_panics(raw in "[%0-9a-fA-Fz/é]{0,12}") {
        let _ = decode(&raw, Keep::Reserved);
        let normal = normalise(&raw);
        prop_assert!(malformed(&raw).is_some() || normalise(&normal).len() <= normal.len());
    }

    #[test]
    fn what_was_escaped_comes_back(text in ".{0,12}") {
        let raw: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(decode(&raw, Keep::Nothing).unwrap(), text);
    }
}
