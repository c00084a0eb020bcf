//! What options make of parameters: JSON in them, and control characters.

use super::*;

fn with(path: &str, body: &str, options: RequestOptions) -> RequestPlan {
    compile("Get", path, body, options).unwrap()
}

/// The text of a query's parameter.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Item 49.
#[test]
fn parameters_may_be_json() {
    let options = RequestOptions { json_parameters: true, ..RequestOptions::default() };
    let (in_query, in_form) = (with("/v1", "", options.clone()), with("/v1", "*", options));
    for (name, text, expected) in [
        ("object", r#"{"a":[1,null],"b":{"c":"d"}}"#, r#"{"object":{"a":[1.0,null],"b":{"c":"d"}}}"#),
        ("object", " {} ", r#"{"object":{}}"#),
        ("list", r#"["x",true]"#, r#"{"list":["x",true]}"#),
        ("any", "null", r#"{"any":null}"#),
        ("any", r#""x""#, r#"{"any":"x"}"#),
        ("any.string_value", "x", r#"{"any":"x"}"#),
        (
            "detail",
            r#"{"@type":"type.googleapis.com/test.v1.Sub","count":1}"#,
            r#"{"detail":{"@type":"type.googleapis.com/test.v1.Sub","count":1}}"#,
        ),
        ("values", "[1]", r#"{"values":[[1.0]]}"#),
        ("value_map[k]", "{}", r#"{"value_map":{"k":{}}}"#),
        ("any", "x", "any: malformed JSON: expected a value at line 1, column 1"),
        ("any", "", "any: malformed JSON: expected a value at line 1, column 1"),
        ("any", "1 2", "any: malformed JSON: expected the end of the text at line 1, column 3"),
        ("object", "[1]", "object: must be an object"),
        ("object", r#"{"a":1,"a":2}"#, "object.a: is there twice"),
        ("object", r#"{"a":[9007199254740993]}"#, "object.a[0]: is an integer beyond 2^53"),
        ("detail", r#"{"@type":"type.googleapis.com/test.v1.Sub","cout":1}"#, "detail.cout: is not a field of"),
        ("sub", "{}", "sub: is a message; name one of its fields"),
        ("subs", "{}", "subs: is a message; name one of its fields"),
    ] {
        let text = format!("{name}={}", escaped(text));
        for decoded in [decode(&in_query, &[], &text, Payload::Empty), decode(&in_form, &[], "", form(&text))] {
            let line = &text[..text.len().min(80)];
            assert!(decoded.starts_with(expected), "{line}: {}", &decoded[..decoded.len().min(300)]);
        }
    }
    let both = |query: &str| decode(&in_query, &[], query, Payload::Empty);
    assert_eq!(both("values=1&values=%22x%22"), r#"{"values":[1.0,"x"]}"#);
    assert_eq!(both("any=1&any=1"), "any: is given twice");
    assert_eq!(both("any.number_value=1&any=1"), "any: is given twice");
    // As deep as in a body: two messages for each list.
    let deep = |levels: usize| both(&format!("any={}1{}", "[".repeat(levels), "]".repeat(levels)));
    assert!(deep(48).starts_with(r#"{"any":[["#), "{}", deep(48));
    for levels in [49, 10_000] {
        assert!(deep(levels).ends_with(": nests deeper than 97 messages"), "{}", deep(levels));
    }
    let plan = with("/v1", "", RequestOptions { lenient: true, json_parameters: true, ..RequestOptions::default() });
    assert_eq!(decode(&plan, &[], "any={}&list=[1]", Payload::Empty), r#"{"any":"{}","list":[1.0]}"#);
}

/// Item 38.
#[test]
fn control_characters_are_data_unless_refused() {
    for (id, query, payload, accepted, refused) in [
        (
            "a\0b",
            "",
            Payload::Empty,
            r#"{"id":"a\u0000b"}"#,
            "id: has the control character U+0000; none is taken here",
        ),
        ("a", "left=%0D%0A", Payload::Empty, r#"{"id":"a","left":"\r\n"}"#, "left: has the control character U+000D"),
        (
            "a",
            "tags=x&tags=%7F",
            Payload::Empty,
            "{\"id\":\"a\",\"tags\":[\"x\",\"\u{7f}\"]}",
            "tags: has the control character U+007F",
        ),
        (
            "a",
            "sub.name=%C2%85",
            Payload::Empty,
            "{\"id\":\"a\",\"sub\":{\"name\":\"\u{85}\"}}",
            "sub.name: has the control character U+0085",
        ),
        (
            "a",
            "labels[%09]=v",
            Payload::Empty,
            r#"{"id":"a","labels":{"\t":"v"}}"#,
            "labels[\t]: has a key that has the control character U+0009",
        ),
        (
            "a",
            "text=%1B[2J",
            Payload::Empty,
            r#"{"id":"a","text":"\u001b[2J"}"#,
            "text: has the control character U+001B",
        ),
        ("a", "", json(r#"{"left":"\u0000"}"#), r#"{"id":"a","left":"\u0000"}"#, r#"{"id":"a","left":"\u0000"}"#),
        ("a", "", form("left=a%0D%0Ab"), r#"{"id":"a","left":"a\r\nb"}"#, r#"{"id":"a","left":"a\r\nb"}"#),
        ("a", "i32=1%00", Payload::Empty, "i32: must be a 32-bit integer", "i32: has the control character U+0000"),
        (
            "\u{2028}é ",
            "left=+",
            Payload::Empty,
            "{\"id\":\"\u{2028}é \",\"left\":\" \"}",
            "{\"id\":\"\u{2028}é \",\"left\":\" \"}",
        ),
    ] {
        let body = if matches!(payload, Payload::Empty) { "" } else { "*" };
        for (refuse_control_characters, expected) in [(false, accepted), (true, refused)] {
            let options = RequestOptions { refuse_control_characters, ..RequestOptions::default() };
            let decoded = decode(&with("/v1/{id}", body, options), &[id], query, payload);
            assert!(decoded.starts_with(expected), "{id:?} {query} {payload:?}: {decoded:?}");
        }
    }
}
