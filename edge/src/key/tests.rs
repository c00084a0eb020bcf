use super::*;

/// Strings as RFC 9651 3.3.3 and 4.2.5 have them.
#[test]
fn a_key_comes_with_or_without_quotes() {
    let longest = "k".repeat(CHARS_MAX);
    for (text, key) in [
        ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", Some("8e03978e-40d5-43dd-bc93-6894a57f9324")),
        ("8e03978e", Some("8e03978e")),
        (" k\t", Some("k")),
        (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
        (&longest, Some(longest.as_str())),
        (&format!("{longest}k"), None),
        ("", None),
        ("\"\"", None),
        ("\"", None),
        ("\"k", None),
        (r#""k\""#, None),
        (r#""a\b""#, None),
        (r#""a"b""#, None),
        (r#""k";p=1"#, None),
        ("a b", None),
        ("\"a b\"", None),
    ] {
        assert_eq!(bare(text).as_deref(), key, "{text}");
    }
}
