//! grpc-ecosystem/grpc-httpjson-transcoding. Its `http_template_test.cc` is in `src/template/tests.rs`, its
//! `path_matcher_test.cc` in `src/table/tests/peers.rs`; `message_reader_test.cc` and the streamed rows of the
//! translators are about framing, which is not this crate's.

use malla_transcode::bind::ResponseOptions;
use malla_transcode::json::Defaults;

use crate::support::{Rows, answered, bindings, expect, refusal, requested};

/// `test/path_matcher_utility_test.cc`: a rule as a service's configuration has it, and what it binds.
const RULES: Rows = &[
    ("", ""),
    ("get: /path, body: body", "GET /path [body]"),
    ("put: /path, body: body", "PUT /path [body]"),
    ("post: /path, body: body", "POST /path [body]"),
    ("delete: /path, body: body", "DELETE /path [body]"),
    ("patch: /path, body: body", "PATCH /path [body]"),
    ("custom: {kind: OPTIONS, path: /custom_path}, body: body", "OPTIONS /custom_path [body]"),
    (
        "get: /path, body: body, additional_bindings: [{custom: {kind: OPTIONS, path: /custom_path}, body: body1}, \
         {custom: {kind: HEAD, path: /path}}, {put: /put_path}]",
        "GET /path [body], OPTIONS /custom_path [body1], HEAD /path [], PUT /put_path []",
    ),
    ("get: /, body: body", "GET / [body]"),
];

#[test]
fn rules() {
    for (rule, expected) in RULES {
        assert_eq!(bindings(rule), *expected, "{rule}");
    }
}

/// `test/type_helper_test.cc`: paths of fields, by their names in the proto and in JSON, as parameters.
const FIELDS: Rows = &[
    ("wrapped_text=a", r#"{"wrapped_text":"a"}"#),
    ("wrappedText=a", r#"{"wrapped_text":"a"}"#),
    ("inner.text=a", r#"{"inner":{"text":"a"}}"#),
    ("inner.wrappedText=a", r#"{"inner":{"wrapped_text":"a"}}"#),
    ("inner.inner.inner.wrappedText=a", r#"{"inner":{"inner":{"inner":{"wrapped_text":"a"}}}}"#),
    // A name in JSON may be any text, brackets included.
    ("search[decoded]=a", r#"{"bracketed":"a"}"#),
    ("search%5Bdecoded%5D=a", r#"{"bracketed":"a"}"#),
    ("inner.search[decoded]=a", r#"{"inner":{"bracketed":"a"}}"#),
    // A name that itself is an escape: theirs looks for it before it decodes. Here it is decoded once, item 55.
    ("search%255Bencoded%255D=a", r#"{"escaped":"a"}"#),
    ("search%5Bencoded%5D=a", "search[encoded]: is not a field"),
    ("search[encoded]=a", "search[encoded]: is not a field"),
];

#[test]
fn fields() {
    for (query, expected) in FIELDS {
        expect(&requested("GET /v1", &format!("/v1?{query}"), ""), expected, query);
    }
}

/// `test/request_weaver_test.cc`: a rule, a path, a body, and what they are together.
const WOVEN: &[(&str, &str, &str, &str)] = &[
    (
        "POST /{text}/{maybe}/{data} *",
        "/a/b/Yw==",
        r#"{"i32":10,"left":"d"}"#,
        r#"{"i32":10,"left":"d","text":"a","maybe":"b","data":"Yw=="}"#,
    ),
    (
        "POST /{inner.text}/{inner.maybe}/{other.text} *",
        "/a/b/c",
        r#"{"left":"d","inner":{"left":"e"},"other":{"left":"f"}}"#,
        r#"{"left":"d","inner":{"left":"e","text":"a","maybe":"b"},"other":{"left":"f","text":"c"}}"#,
    ),
    (
        "POST /{inner.inner.text}/{inner.other.text}/{other.inner.text} *",
        "/a/b/c",
        r#"{"inner":{"inner":{"left":"d"},"left":"e","other":{}},"other":{"left":"f","inner":{"left":"g"}}}"#,
        r#"{"inner":{"inner":{"left":"d","text":"a"},"left":"e","other":{"text":"b"}},
            "other":{"left":"f","inner":{"left":"g","text":"c"}}}"#,
    ),
    (
        "POST /{inner.inner.text} *",
        "/a",
        r#"{"left":"b","other":{"left":"c","inner":{"left":"d"}}}"#,
        r#"{"left":"b","other":{"left":"c","inner":{"left":"d"}},"inner":{"inner":{"text":"a"}}}"#,
    ),
    (
        "POST /{text}/{inner.inner.text}/{inner.maybe} *",
        "/a/b/c",
        r#"{"inner":{"left":"d","inner":{"left":"e"}}}"#,
        r#"{"text":"a","inner":{"left":"d","maybe":"c","inner":{"left":"e","text":"b"}}}"#,
    ),
    (
        "POST /{text}/{inner.maybe}/{other.maybe}/{other.inner.other.text} *",
        "/a/b/c/d",
        r#"{"inner":{"left":"d"},"other":{"left":"e"}}"#,
        r#"{"text":"a","inner":{"left":"d","maybe":"b"},
            "other":{"left":"e","maybe":"c","inner":{"other":{"text":"d"}}}}"#,
    ),
    // The same value twice.
    (
        "POST /{inner.flag}/{inner.i32}/{inner.u32}/{inner.i64}/{inner.u64}/{inner.f32}/{inner.f64}/{inner.data} *",
        "/true/-2/2/-2/2/1.01/1.01/Yg==",
        r#"{"inner":{"flag":true,"i32":-2,"u32":2,"i64":-2,"u64":2,"f32":1.01,"f64":1.01,"data":"Yg=="}}"#,
        r#"{"inner":{"flag":true,"i32":-2,"u32":2,"i64":"-2","u64":"2","f32":1.01,"f64":1.01,"data":"Yg=="}}"#,
    ),
    // Theirs takes the body's value, and by an option refuses: D19.
    ("POST /{inner.text} *", "/a", r#"{"inner":{"text":"b"}}"#, "inner.text: differs from the value in the path"),
    ("POST /{inner.flag} *", "/true", r#"{"inner":{"flag":false}}"#, "inner.flag: differs from the value in the path"),
    ("POST /{inner.i32} *", "/-2", r#"{"inner":{"i32":-3}}"#, "inner.i32: differs"),
    ("POST /{inner.u64} *", "/2", r#"{"inner":{"u64":"3"}}"#, "inner.u64: differs"),
    ("POST /{inner.f32} *", "/1.01", r#"{"inner":{"f32":1.0001}}"#, "inner.f32: differs"),
    ("POST /{inner.f64} *", "/1.01", r#"{"inner":{"f64":1.0001}}"#, "inner.f64: differs"),
    ("POST /{inner.data} *", "/Yg==", r#"{"inner":{"data":"Yw=="}}"#, "inner.data: differs"),
    ("POST /{inner.inner.flag} *", "/true", r#"{"inner":{"inner":{"flag":false}}}"#, "inner.inner.flag: differs"),
    // A value in the path that is none, whatever the body says.
    (
        "POST /{inner.flag}/{inner.i32}/{inner.f64} *",
        "/true1/abc/abc",
        "{}",
        "inner.flag: must be true or false; inner.i32: must be a 32-bit integer; inner.f64: must be a number",
    ),
    // Theirs puts elements of the query before those of the body: D23.
    ("POST /v1 *", "/v1?words=b&words=c", r#"{"words":["a"]}"#, "words: belongs in the body"),
    // What is bound inside of a message is not looked for in lists; theirs passes over one in a message's place.
    (
        "POST /{inner.text} *",
        "/a",
        r#"{"inners":[{"inner":{"maybe":"b"}}]}"#,
        r#"{"inner":{"text":"a"},"inners":[{"inner":{"maybe":"b"}}]}"#,
    ),
    ("POST /{inner.text} *", "/a", r#"{"inner":["c","d"]}"#, "inner: must be an object"),
];

#[test]
fn woven() {
    for (rule, path, body, expected) in WOVEN {
        expect(&requested(rule, path, body), expected, &format!("{body} to {path} of {rule}"));
    }
}

/// `test/json_request_translator_test.cc` and of `request_stream_translator_test.cc` what is about one message.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("POST /v1 *", "/v1", r#"{ "text" : "1", "maybe" : "Russian" }"#, r#"{"text":"1","maybe":"Russian"}"#),
    (
        "POST /v1 *",
        "/v1",
        r#"{"text":"8","inner":{"text":"Leo","inner":{"i64":1830,"u64":"1910","wrappedText":"some text"}}}"#,
        r#"{"text":"8","inner":{"text":"Leo","inner":{"i64":"1830","u64":"1910","wrapped_text":"some text"}}}"#,
    ),
    ("POST /v1 inner", "/v1", r#"{"text":"9"}"#, r#"{"inner":{"text":"9"}}"#),
    (
        "POST /{inner.inner.text}/{inner.inner.maybe} inner",
        "/Leo/Tolstoy",
        r#"{"text":"11"}"#,
        r#"{"inner":{"text":"11","inner":{"text":"Leo","maybe":"Tolstoy"}}}"#,
    ),
    ("POST /{text}/{maybe} *", "/1/Fiction", "", r#"{"text":"1","maybe":"Fiction"}"#),
    ("POST /v1 text", "/v1", r#""History""#, r#"{"text":"History"}"#),
    ("POST /v1 inners", "/v1", r#"[{"text":"1"},{"text":"2"}]"#, r#"{"inners":[{"text":"1"},{"text":"2"}]}"#),
    ("POST /v1 object", "/v1", r#"{"payload":"Hello World!"}"#, r#"{"object":{"payload":"Hello World!"}}"#),
    (
        "POST /v1 object",
        "/v1",
        r#"{"nested":{"payload":"Hello World!"}}"#,
        r#"{"object":{"nested":{"payload":"Hello World!"}}}"#,
    ),
    ("POST /v1 *", "/v1", "", "{}"),
    ("GET /{i64}", "/abc", "", "i64: must be a 64-bit integer"),
    ("POST /v1 inner", "/v1", r#"{"text":"9",}"#, "inner: malformed JSON"), // theirs takes it, in many rows: D26
    ("POST /v1 *", "/v1", r#"{"text":"1","unknownObject":{"name":"value"}}"#, "unknownObject: is not a field"), // D25
    ("POST /v1 *", "/v1", "Invalid", "must be an object"),
    ("POST /v1 *", "/v1", r#"{"text")"#, "text: malformed JSON"),
    ("POST /v1 *", "/v1", r#"{"text" : "1")"#, "text: malformed JSON"),
    ("POST /v1 *", "/v1", r#"{"maybe" , "text" : "1"}"#, "maybe: malformed JSON"),
    ("POST /v1 *", "/v1", r#"{"text" : "1"]"#, "text: malformed JSON"),
    ("POST /v1 *", "/v1", r#"["maybe" , "text" : "1"}"#, "must be an object"),
    ("POST /v1 *", "/v1", r#"{"text" : "1", { "a" : [ "c", "d"} ]}"#, "malformed JSON"),
    ("POST /v1 *", "/v1", r#"["text" : "1" ]}"#, "must be an object"),
    ("POST /v1 *", "/v1", r#"[{"text" : "1" ]}"#, "must be an object"),
    ("POST /v1 *", "/v1", "  ", "must be an object"),
    ("POST /v1 *", "/v1", "\r  \t\n", "must be an object"),
];

#[test]
fn requests() {
    for (rule, target, body, expected) in REQUESTS {
        expect(&requested(rule, target, body), expected, &format!("{body} to {target} of {rule}"));
    }
    for length in [1, 256, 1024, 1234, 4096, 65537] {
        let text = "0123456789abcdefgh".chars().cycle().take(length).collect::<String>();
        let body = serde_json::json!({ "text": "1", "maybe": text }).to_string();
        expect(&requested("POST /v1 *", "/v1", &body), &body, &format!("{length} letters"));
    }
    // Theirs puts the body at any depth: item 13.
    assert_eq!(refusal("POST /v1 inner.inner.text"), "dotted-body");
}

/// `test/response_to_json_translator_test.cc`: the message and the answer.
#[test]
fn answers() {
    let defaults = ResponseOptions::default;
    let implicit = || ResponseOptions { defaults: Defaults::Implicit, ..defaults() };
    for (rule, message, options, expected) in [
        ("GET /v1", r#"{"text":"1","maybe":"History"}"#, defaults(), r#"{"text":"1","maybe":"History"}"#),
        (
            "GET /v1",
            r#"{"text":"8","inner":{"text":"Leo","inner":{"i64":"1830","wrapped_text":"some text"}}}"#,
            defaults(),
            r#"{"text":"8","inner":{"text":"Leo","inner":{"i64":"1830","wrappedText":"some text"}}}"#,
        ),
        ("GET /v1 -> object", r#"{"object":{"payload":"Hello World!"}}"#, defaults(), r#"{"payload":"Hello World!"}"#),
        ("GET /v1 -> object", r#"{"object":{"nested":{"payload":"x"}}}"#, defaults(), r#"{"nested":{"payload":"x"}}"#),
        ("GET /v1", "{}", defaults(), "{}"),
        ("GET /v1 -> i64", "{}", implicit(), r#""0""#),
        ("GET /v1 -> color", "{}", implicit(), r#""COLOR_UNSPECIFIED""#),
    ] {
        assert_eq!(answered(rule, message, options), expected, "{message} of {rule}");
    }
    // What is absent, by the option that writes it, within messages too.
    let all = answered("GET /v1", r#"{"inner":{}}"#, implicit());
    assert_eq!(all.matches(r#""i64":"0""#).count(), 2, "{all}");
    assert_eq!(all.matches(r#""color":"COLOR_UNSPECIFIED""#).count(), 2, "{all}");
    for length in [1, 2, 3, 4, 5, 6, 10, 12, 100, 128, 256, 1024, 4096, 65537] {
        let message = serde_json::json!({ "text": "abcdefgh12345".chars().cycle().take(length).collect::<String>() });
        assert_eq!(answered("GET /v1", &message.to_string(), defaults()), message.to_string());
    }
}
