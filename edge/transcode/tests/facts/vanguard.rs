//! connectrpc/vanguard-go.

use malla_transcode::bind::ResponseOptions;

use crate::support::{Rows, alone, answered, expect, parsed, refusal, requested, routed};

/// `path_parser_test.go`, `TestPath_ParsePathTemplate`. Variables within variables, an extension of theirs, are refused:
/// item 5.
const TEMPLATES: Rows = &[
    ("/f/bar", "/f/bar"),
    ("/v1:watch", "/v1:watch"),
    ("/v3/events:clear", "/v3/events:clear"),
    ("/{_}", "/* _=*"),
    ("/{hello}/world", "/*/world hello=*"),
    ("/v1/{parent=shelves/*}/books", "/v1/shelves/*/books parent=shelves/*"),
    ("/v1/{book.name=shelves/*/books/*}", "/v1/shelves/*/books/* book.name=shelves/*/books/*"),
    ("/v3/{name=events/*}:cancel", "/v3/events/*:cancel name=events/*"),
    (
        "/foo/bar/{name}/baz/{child.id}/buzz/{child.thing.id}",
        "/foo/bar/*/baz/*/buzz/* name=* child.id=* child.thing.id=*",
    ),
    ("/foo/bar/*/{thing.id}/{cat=**}:do", "/foo/bar/*/*/**:do thing.id=* cat=**"),
    // Escapes are normalised: `%2f` is `%2F`, and `%61` would be `a`.
    ("/foo/bar:baz%12xyz%abcde", "/foo/bar:baz%12xyz%ABcde"),
    ("/my%2fcool-blog~about%2Cstuff%5Bwat%5D/x:baz", "/my%2Fcool-blog~about%2Cstuff%5Bwat%5D/x:baz"),
    ("/foo%2Fbar/%2A/%2A%2a/{starstar=%2A%2a/**}:%2c", "/foo%2Fbar/%2A/%2A%2A/%2A%2A/**:%2C starstar=%2A%2A/**"),
    ("/foo/**/bar", "/foo/**/bar"), // theirs refused: D8
    ("/foo/bob/{book_id={author}/{isbn}/*}/details", "refused"),
    ("/my/{var={abc=%2F%2A}/{def=%2F%2A/**}}:baz", "refused"),
    ("/{a}/{a}", "refused"),
    ("/{1}", "refused"),
    ("/{field.1}", "refused"),
    ("/{-}", "refused"),
    ("/{field-}", "refused"),
    ("/foo/{bar/baz}/buzz", "refused"),
    ("/foo/bar/baz?abc=def", "refused"),
    ("/foo/bar/baz buzz", "refused"),
    ("foo/bar/baz", "refused"),
    ("/foo/bar/", "refused"),
    ("/foo/bar:baz/buzz", "refused"),
    ("/foo/bar%55:baz%1", "refused"),
    ("/foo/bar*", "refused"),
    ("/foo/bar/***", "refused"),
];

#[test]
fn templates() {
    for (text, expected) in TEMPLATES {
        assert_eq!(parsed(text), *expected, "{text}");
    }
}

/// `router_test.go`, with what it nests written side by side.
const RULES: &[&str] = &[
    "/foo/bar/baz/buzz",
    "/foo/bar/{name}",
    "/foo/bar/{name}/baz/{child}",
    "/foo/bar/{name}/baz/{child.id}/buzz/{child.thing.id}",
    "/foo/bar/*/{thing.id}/{cat=**}",
    "/foo/bar/*/{thing.id}/{cat=**}:do",
    "/foo/bar/*/{thing.id}/{cat=**}:cancel",
    "/foo/bob/{book_id=*/*/*}/details",
    "/percent_encoding/{outer=*/suffix}",
    "/foo%2Fbar/%2A/%2A%2a/{starstar=%2A%2a/**}:%2c",
    "/trailing/**:slash",
    "/verb",
];

const ROUTES: Rows = &[
    ("/bob/lob/law", "404"),
    ("/foo/bob/lob/law", "404"),
    ("/foo/bar/baz", "/foo/bar/{name} name=baz"),
    ("/foo/bar/baz/buzz", "/foo/bar/baz/buzz"),
    ("/foo/bar/baz/baz/buzz", "/foo/bar/{name}/baz/{child} name=baz child=buzz"),
    (
        "/foo/bar/1/baz/2/buzz/3",
        "/foo/bar/{name}/baz/{child.id}/buzz/{child.thing.id} name=1 child.id=2 child.thing.id=3",
    ),
    ("/foo/bar/baz/123", "/foo/bar/*/{thing.id}/{cat=**} thing.id=123 cat="), // theirs 404: D7
    ("/foo/bar/baz/123/buzz", "/foo/bar/*/{thing.id}/{cat=**} thing.id=123 cat=buzz"),
    ("/foo/bar/baz/123/buzz/buzz", "/foo/bar/*/{thing.id}/{cat=**} thing.id=123 cat=buzz/buzz"),
    ("/foo/bar/baz/123/fizz/buzz:do", "/foo/bar/*/{thing.id}/{cat=**}:do thing.id=123 cat=fizz/buzz"),
    ("/foo/bar/baz/123/buzz/buzz:cancel", "/foo/bar/*/{thing.id}/{cat=**}:cancel thing.id=123 cat=buzz/buzz"),
    ("/foo/bar/baz/123/buzz:blah", "/foo/bar/*/{thing.id}/{cat=**} thing.id=123 cat=buzz:blah"), // theirs 404: D11
    ("foo/bar/baz/123/buzz/buzz:blah", "404"),
    ("/foo/bob/bar/baz/123/details", "/foo/bob/{book_id=*/*/*}/details book_id=bar/baz/123"),
    ("/foo/bob/bar/baz/123/details:do", "404"),
    ("/trailing:slash", "/trailing/**:slash"), // theirs 404, as `**` takes one segment at least: D7
    ("/trailing/:slash", "/trailing/**:slash"),
    ("/verb:", "404"),
    ("/verb", "/verb"),
    // Theirs writes what stays encoded in upper case: item 32.
    ("/foo/bar/baz/%2f/%2A/%2f", "/foo/bar/*/{thing.id}/{cat=**} thing.id=/ cat=*/%2f"),
    ("/foo/bar/baz/123/a%2Fb", "/foo/bar/*/{thing.id}/{cat=**} thing.id=123 cat=a%2Fb"),
    ("/percent_encoding/A%2Fb/suffix", "/percent_encoding/{outer=*/suffix} outer=A%2Fb/suffix"),
    ("DELETE /foo/bar/baz", "405"),
    ("PUT /verb", "405"),
];

#[test]
fn routes() {
    for (request, expected) in ROUTES {
        assert_eq!(routed(RULES, request), *expected, "{request}");
    }
}

/// `path_parser_test.go`, `TestPath_Escaping`: a segment, alone and as a part of several.
#[test]
fn escapes() {
    for (raw, single, multi) in [
        ("foo", "foo", "a/foo"),
        ("foo%2Fbar", "foo/bar", "a/foo%2Fbar"),
        ("foo%2fbar", "foo/bar", "a/foo%2fbar"), // theirs %2F: item 32
        ("foo%252Fbar", "foo%2Fbar", "a/foo%2Fbar"),
    ] {
        assert_eq!(alone("/{x}", &format!("/{raw}")), format!("x={single}"));
        assert_eq!(alone("/{x=a/*}", &format!("/a/{raw}")), format!("x={multi}"));
    }
}

/// `params_test.go`, `TestSetParameter`: a query, and the message or what is wrong.
const PARAMETERS: Rows = &[
    ("f64=NaN", r#"{"f64":"NaN"}"#),
    ("f64=Infinity", r#"{"f64":"Infinity"}"#),
    ("f64=-Infinity", r#"{"f64":"-Infinity"}"#),
    ("f32=NaN", r#"{"f32":"NaN"}"#),
    ("f32=-Infinity", r#"{"f32":"-Infinity"}"#),
    ("f32=Infinity", r#"{"f32":"Infinity"}"#),
    ("f32=1.7976931348623157e308", "f32: must be a number that fits a float"),
    ("i32=2147483647", r#"{"i32":2147483647}"#),
    ("i32=9223372036854775807", "i32: must be a 32-bit integer"),
    ("i64=9223372036854775807", r#"{"i64":"9223372036854775807"}"#),
    ("u32=4294967295", r#"{"u32":4294967295}"#),
    ("u64=18446744073709551615", r#"{"u64":"18446744073709551615"}"#),
    ("s32=2147483647", r#"{"s32":2147483647}"#),
    ("s64=9223372036854775807", r#"{"s64":"9223372036854775807"}"#),
    ("flag=false", "{}"),
    ("text=hello world", r#"{"text":"hello world"}"#),
    ("data=YWJjMTIzIT8kKiYoKSctPUB%2B", r#"{"data":"YWJjMTIzIT8kKiYoKSctPUB+"}"#),
    ("data=YWJjMTIzIT8kKiYoKSctPUB-", r#"{"data":"YWJjMTIzIT8kKiYoKSctPUB+"}"#),
    ("data=YWJjMTIzIT8kKiYoKSctPUA", r#"{"data":"YWJjMTIzIT8kKiYoKSctPUA="}"#),
    ("time=2021-01-01T00:00:00Z", r#"{"time":"2021-01-01T00:00:00Z"}"#),
    ("wait=1s", r#"{"wait":"1s"}"#),
    ("wait=3.000000001s", r#"{"wait":"3.000000001s"}"#),
    ("wrapped_flag=true", r#"{"wrapped_flag":true}"#),
    ("wrapped_i32=2147483647", r#"{"wrapped_i32":2147483647}"#),
    ("wrapped_i32=9223372036854775807", "wrapped_i32: must be a 32-bit integer"),
    ("wrapped_i64=9223372036854775807", r#"{"wrapped_i64":"9223372036854775807"}"#),
    ("wrapped_u32=4294967295", r#"{"wrapped_u32":4294967295}"#),
    ("wrapped_u64=18446744073709551615", r#"{"wrapped_u64":"18446744073709551615"}"#),
    ("wrapped_f64=1.7976931348623157e308", r#"{"wrapped_f64":1.7976931348623157e308}"#),
    ("wrapped_data=YWJjMTIzIT8kKiYoKSctPUA", r#"{"wrapped_data":"YWJjMTIzIT8kKiYoKSctPUA="}"#),
    ("wrapped_text=hello world", r#"{"wrapped_text":"hello world"}"#),
    ("wrapped_text=\"hello world\"", r#"{"wrapped_text":"\"hello world\""}"#), // theirs without the quotes: item 48
    ("mask=foo,bar.baz", r#"{"mask":"foo,bar.baz"}"#),
    ("color=1", r#"{"color":"RED"}"#),
    ("color=RED", r#"{"color":"RED"}"#),
    ("color=null", "color: must be one of"), // theirs 0: item 44
    ("color=unknown", "color: must be one of"),
    ("colors=0&colors=1", r#"{"colors":["COLOR_UNSPECIFIED","RED"]}"#),
    ("doubles=1.234", r#"{"doubles":[1.234]}"#),
    ("left=1.234", r#"{"left":"1.234"}"#),
    ("inner.f64=1.234", r#"{"inner":{"f64":1.234}}"#),
    ("labels=hello", "labels: is a map"),
    ("parts.f64=1.234", "parts.f64: parts has no fields to name"),
    ("unknownField=hello", "unknownField: is not a field of this request"),
];

#[test]
fn parameters() {
    for (query, expected) in PARAMETERS {
        expect(&requested("GET /v1", &format!("/v1?{query}"), ""), expected, query);
    }
    // Written out, all 309 digits of them.
    for (query, expected) in [
        (format!("f64={}", f64::MAX), r#"{"f64":1.7976931348623157e308}"#),
        (format!("f32={}", f32::MAX), r#"{"f32":3.4028235e38}"#),
        (format!("f32={}", f64::MAX), "f32: must be a number that fits a float"),
    ] {
        expect(&requested("GET /v1", &format!("/v1?{query}"), ""), expected, &query);
    }
}

/// `params_test.go`, `TestIsParameter`: what a variable can be.
#[test]
fn variables() {
    for (rule, expected) in [
        ("GET /{text}", ""),
        ("GET /{inner.text}", ""),
        ("GET /{time}", ""),
        ("GET /{inner}", "message-variable"),
        ("GET /{any}", "message-variable"),
    ] {
        assert_eq!(refusal(rule), expected, "{rule}");
    }
}

/// `vanguard_restxrpc_test.go`: what requests become. Its raw and streamed bodies and its statuses are the edge's.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("GET /v1/shelves", "/v1/shelves", "", "{}"),
    ("GET /v1/{text=shelves/*/books/*}", "/v1/shelves/1/books/1", "", r#"{"text":"shelves/1/books/1"}"#),
    (
        "POST /v1/{text=shelves/*}/books inner",
        "/v1/shelves/1/books?wrappedText=1&maybe=2",
        r#"{"text":"The Art of Computer Programming","left":"Donald E. Knuth"}"#,
        r#"{"text":"shelves/1","wrapped_text":"1","maybe":"2",
            "inner":{"text":"The Art of Computer Programming","left":"Donald E. Knuth"}}"#,
    ),
    (
        "POST /v2/{text=shelves/*}/books:move words",
        "/v2/shelves/1/books:move",
        r#"["book1", "book2", "book3"]"#,
        r#"{"text":"shelves/1","words":["book1","book2","book3"]}"#,
    ),
    (
        "GET /v2/{text=shelves/*/books/*}:checkouts",
        "/v2/shelves/1/books/abc:checkouts",
        "",
        r#"{"text":"shelves/1/books/abc"}"#,
    ),
    ("GET /v2/checkouts/{i64}", "/v2/checkouts/nan", "", "i64: must be a 64-bit integer"),
    ("GET /{text}:download", "/message.txt:download?unknownParam=1", "", "unknownParam: is not a field"), // theirs by option: D21
];

#[test]
fn requests() {
    for (rule, target, body, expected) in REQUESTS {
        expect(&requested(rule, target, body), expected, target);
    }
    // ListCheckouts; theirs writes what is absent too: D39.
    let answer =
        answered("GET /v2 -> inners", r#"{"inners":[{"i64":"123","words":["abc"]}]}"#, ResponseOptions::default());
    assert_eq!(answer, r#"[{"i64":"123","words":["abc"]}]"#);
}
