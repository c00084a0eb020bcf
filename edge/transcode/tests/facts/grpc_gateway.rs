//! grpc-ecosystem/grpc-gateway v2.

use malla_transcode::bind::ResponseOptions;
use malla_transcode::json::Defaults;

use crate::support::{Rows, alone, answered, expect, parsed, requested, routed};

/// `internal/httprule/parse_test.go` and `compile_test.go`, `runtime/pattern_test.go` (`TestPatternString`).
const TEMPLATES: Rows = &[
    ("/", "/"),
    ("/v1", "/v1"),
    ("/v1/b", "/v1/b"),
    ("/*", "/*"),
    ("/**", "/**"),
    ("/v1/endpoint/*", "/v1/endpoint/*"),
    ("/v1/endpoint/**", "/v1/endpoint/**"),
    ("/{name}", "/* name=*"),
    ("/{name=*}", "/* name=*"),
    ("/{field.nested.nested2=*}", "/* field.nested.nested2=*"),
    ("/{name=a/b/*}", "/a/b/* name=a/b/*"),
    ("/v1/b/{bucket_name=*}", "/v1/b/* bucket_name=*"),
    ("/v1/b/{bucket_name=buckets/*}", "/v1/b/buckets/* bucket_name=buckets/*"),
    ("/v1/b/{bucket_name=buckets/*}/o", "/v1/b/buckets/*/o bucket_name=buckets/*"),
    ("/v1/b/{bucket_name=buckets/*}/o/{name}", "/v1/b/buckets/*/o/* bucket_name=buckets/* name=*"),
    (
        "/v1/{name.nested.nested2=a/b/*}/o/{another_name=a/b/*/c}/**",
        "/v1/a/b/*/o/a/b/*/c/** name.nested.nested2=a/b/* another_name=a/b/*/c",
    ),
    ("/obj/{name.nested=a/*/b}/{obj=**}", "/obj/a/*/b/** name.nested=a/*/b obj=**"),
    (
        "/v1/{bucket_name=buckets/*}/{name=objects/**/.ext}/tail",
        "/v1/buckets/*/objects/**/.ext/tail bucket_name=buckets/* name=objects/**/.ext",
    ),
    ("/v1/a/{endpoint}:a", "/v1/a/*:a endpoint=*"),
    ("/v1/{bucket}/do:action", "/v1/*/do:action bucket=*"),
    ("/-._~!$&'()+,;=@", "/-._~!$&'()+,;=@"),
    ("/%e7%ac%ac", "/%E7%AC%AC"),                  // theirs keeps the digits' case: item 29
    ("/-._~!$&'()*+,;=:@", "refused"),             // theirs a literal: items 7 and 8
    ("/v1/a=b&c=d;e=f:g/endpoint.rdf", "refused"), // theirs a literal: item 8
    ("/v1/{name=segment/wi:th}", "refused"),       // theirs a literal: item 8
    ("/v1/a/{endpoint}:b:c", "refused"),           // theirs the verb "b:c": the last colon begins one, item 28
    ("/v1/{name}:bla:baa", "refused"),             // the same
    ("/v1/{name}:", "refused"),                    // theirs without a verb: item 8
    ("//", "refused"),                             // theirs a wildcard as one token: item 3
    ("", "refused"),
    ("v1/{name}", "refused"),
    ("v1/b/:name/do", "refused"),
    ("/a?b", "refused"),
    ("/%", "refused"),
    ("/%2", "refused"),
    ("/a%2z", "refused"),
    ("/{name", "refused"),
    ("/{name=", "refused"),
    ("/{name=*", "refused"),
    ("/{name.}", "refused"),
    ("/{name..nested}", "refused"),
    ("/{field-name}", "refused"),
    ("/v1{name}", "refused"),
    ("/**/abc/**", "refused"),
];

#[test]
fn templates() {
    for (text, expected) in TEMPLATES {
        assert_eq!(parsed(text), *expected, "{text}");
        // Theirs tries each again with a verb. The root takes none: item 8.
        if *expected != "refused" && !expected.contains(':') && *text != "/" {
            let (shape, variables) = expected.split_once(' ').map_or((*expected, None), |(a, b)| (a, Some(b)));
            let variables = variables.map_or(String::new(), |variables| format!(" {variables}"));
            assert_eq!(parsed(&format!("{text}:LOCK")), format!("{shape}:LOCK{variables}"));
        }
    }
}

/// `runtime/pattern_test.go`, `TestMatch` and `TestMatchWithBinding`: a rule, and paths with the variables they bind.
const MATCHES: &[(&str, Rows)] = &[
    ("/", &[("/", ""), ("/example", "404"), ("/path/to/example", "404")]),
    ("/*", &[("/abc", ""), ("/def", ""), ("/", "404"), ("/abc/def", "404")]),
    ("/*:LOCK", &[("/abc:LOCK", "")]),
    ("/v1", &[("/v1", ""), ("/", "404"), ("/v2", "404")]),
    ("/v1:LOCK", &[("/v1:LOCK", ""), ("/v1", "404"), ("/LOCK", "404")]),
    ("/**", &[("/", ""), ("/abc", ""), ("/abc/def", ""), ("/abc/def/ghi", "")]),
    (
        "/**/tail",
        &[
            ("/tail", ""),
            ("/abc/tail", ""),
            ("/abc/def/tail", ""),
            ("/", "404"),
            ("/abc", "404"),
            ("/abc/def", "404"),
            ("/tail/extra", "404"),
            ("/abc/tail/extra", "404"),
            ("/abc/def/tail/extra", "404"),
        ],
    ),
    (
        "/v1/bucket/{name}",
        &[
            ("/v1/bucket/my-bucket", "name=my-bucket"),
            ("/", "404"),
            ("/v1", "404"),
            ("/v1/bucket", "404"),
            ("/v2/bucket/my-bucket", "404"),
            ("/v1/pubsub/my-topic", "404"),
        ],
    ),
    ("/v1/bucket/{name}:LOCK", &[("/v1/bucket/my-bucket:LOCK", "name=my-bucket")]),
    (
        "/v1/{name=o/**}",
        &[
            ("/v1/o", "name=o"),
            ("/v1/o/my-bucket", "name=o/my-bucket"),
            ("/v1/o/my-bucket/dir/dir2/obj", "name=o/my-bucket/dir/dir2/obj"),
            ("/", "404"),
            ("/v1", "404"),
            ("/v2/o/my-bucket", "404"),
            ("/v1/b/my-bucket", "404"),
        ],
    ),
    ("/v1/{name=o/**/.ext}/tail", &[("/v1/o/my-bucket/dir/dir2/obj/.ext/tail", "name=o/my-bucket/dir/dir2/obj/.ext")]),
    (
        "/v2/{name=b/*}/o/{oname}",
        &[
            ("/v2/b/my-bucket/o/obj", "name=b/my-bucket oname=obj"),
            ("/v2", "404"),
            ("/v2/b", "404"),
            ("/v2/b/my-bucket", "404"),
            ("/v2/b/my-bucket/o", "404"),
        ],
    ),
    ("/foo/{id}/bar", &[("/foo/part1%2Fpart2/bar", "id=part1/part2")]),
    // Theirs decodes `**` whole in another of its modes; so does ours: item 32.
    ("/foo/{id=**}", &[("/foo/test%2Fbar", "id=test%2Fbar")]),
];

#[test]
fn matches() {
    for (rule, rows) in MATCHES {
        for (path, expected) in *rows {
            assert_eq!(alone(rule, path), *expected, "{path} of {rule}");
        }
    }
}

/// `runtime/mux_test.go`, `TestMuxServeHTTP`: rules, and where requests go.
const ROUTES: &[(&[&str], Rows)] = &[
    (&[], &[("/", "404")]),
    (&["/foo"], &[("/foo", "/foo"), ("/bar", "404")]),
    (&["/foo"], &[("foo", "404")]), // theirs 400: item 2
    (&["/*", "/foo"], &[("/foo", "/foo")]),
    (&["/foo", "POST /foo"], &[("POST /foo", "POST /foo")]),
    (&["/foo"], &[("DELETE /foo", "405")]), // theirs 501: D17
    (&["/foo"], &[("POST /foo", "405")]),   // theirs 501, or the GET rule for a form: D17
    (&["POST /foo/{id}:archive"], &[("DELETE /foo/bar:archive", "405")]), // theirs 501: D17
    (&["DELETE /foo", "PUT /foo", "PATCH /foo"], &[("POST /foo", "405")]), // theirs 501: D17
    (&["POST /foo:bar"], &[("POST /foo:bar", "POST /foo:bar")]),
    (
        &["/foo/{id}", "/foo/{id}:verb"],
        &[
            ("/foo/bar", "/foo/{id} id=bar"),
            ("/foo/bar:123", "/foo/{id} id=bar:123"),
            ("/foo/bar:verb", "/foo/{id}:verb id=bar"),
        ],
    ),
    (
        &["/foo/{id}/bar"],
        // Theirs 404 in the modes that decode before they match: item 19, D1.
        &[("/foo/success%2fwith%2Fspace/bar", "/foo/{id}/bar id=success/with/space")],
    ),
    (&["/foo/{id=**}"], &[("/foo/success%2fwith%2Fspace", "/foo/{id=**} id=success%2fwith%2Fspace")]),
    // Theirs matches in the mode that decodes first: item 19.
    (&["POST /api/v1/{name=organizations/*}:action"], &[("POST /api/v1/organizations%2Ffoo:action", "404")]),
    (
        &["POST /api/organizations:verb", "POST /api/organizations", "POST /api/dummies:verb"],
        &[("POST /api/organizations:verb", "POST /api/organizations:verb")],
    ),
    (&["/foo/{id}"], &[("/foo/%25", "/foo/{id} id=%")]), // theirs 400, as it decodes twice: item 34
];

#[test]
fn routes() {
    for (rules, rows) in ROUTES {
        for (request, expected) in *rows {
            assert_eq!(routed(rules, request), *expected, "{request} among {rules:?}");
        }
    }
}

/// `runtime/query_test.go`: a query, and the message or what is wrong.
const QUERIES: Rows = &[
    (
        "f32=1.5&f64=2.5&i64=-1&i32=-2&u64=3&u32=4&flag=true&text=str&words=a&words=b&words=c",
        r#"{"f32":1.5,"f64":2.5,"i64":"-1","i32":-2,"u64":"3","u32":4,"flag":true,"text":"str","words":["a","b","c"]}"#,
    ),
    ("data=YWJjMTIzIT8kKiYoKSctPUB-", r#"{"data":"YWJjMTIzIT8kKiYoKSctPUB+"}"#),
    ("data=Ynl0ZXM=", r#"{"data":"Ynl0ZXM="}"#),
    ("maybe=str", r#"{"maybe":"str"}"#),
    ("color=1&colors=1&colors=2&colors=0", r#"{"color":"RED","colors":["RED","GREEN","COLOR_UNSPECIFIED"]}"#),
    ("color=GREEN&colors=RED&colors=2&colors=0", r#"{"color":"GREEN","colors":["RED","GREEN","COLOR_UNSPECIFIED"]}"#),
    ("time=2016-12-15T12:23:32.000000049Z", r#"{"time":"2016-12-15T12:23:32.000000049Z"}"#),
    ("wait=46800s", r#"{"wait":"46800s"}"#),
    ("wait=13h0m0s", "wait: must be seconds"), // theirs takes Go's spelling: D30
    ("mask=f32_value,f64Value", r#"{"mask":"f32Value,f64Value"}"#),
    ("wrapped_f32=1.5&wrappedF64=2.5", r#"{"wrapped_f32":1.5,"wrapped_f64":2.5}"#),
    ("wrapped_i64=-1&wrappedI32=-2", r#"{"wrapped_i64":"-1","wrapped_i32":-2}"#),
    ("wrapped_u64=3&wrappedU32=4", r#"{"wrapped_u64":"3","wrapped_u32":4}"#),
    ("wrapped_flag=true&wrappedText=str", r#"{"wrapped_flag":true,"wrapped_text":"str"}"#),
    ("wrapped_data=YWJjMTIzIT8kKiYoKSctPUB-", r#"{"wrapped_data":"YWJjMTIzIT8kKiYoKSctPUB+"}"#),
    ("wrapped_many=1&wrapped_many=2", r#"{"wrapped_many":["1","2"]}"#),
    (
        "labels[key]=value&labels[fourth]=&labels[~!@%23$%25^%26*()]=value",
        r#"{"labels":{"key":"value","fourth":"","~!@#$%^&*()":"value"}}"#,
    ),
    ("counts[key]=-2&by_i32[-2]=value", r#"{"counts":{"key":-2},"by_i32":{"-2":"value"}}"#),
    ("byU64[3]=value&by_flag[true]=value", r#"{"by_u64":{"3":"value"},"by_flag":{"true":"value"}}"#),
    ("weights[key]=2.5&sizes[key]=2", r#"{"weights":{"key":2.5},"sizes":{"key":"2"}}"#),
    ("object={%22a%22:{%22b%22:1}}", "object: may be any JSON"), // theirs reads it: item 49, an option of ours
    ("any=true", "any: is a message"),                           // the same
    (
        "inner.inner.inner.words=a&inner.inner.inner.words=b&inner.inner.text=t&inner.text=u&inner.inner.labels[k]=v",
        r#"{"inner":{"text":"u","inner":{"text":"t","labels":{"k":"v"},"inner":{"words":["a","b"]}}}}"#,
    ),
    ("left=foobar", r#"{"left":"foobar"}"#),
    ("right=true", r#"{"right":true}"#),
    ("middle.i64=-1&middle.text=foo", r#"{"middle":{"i64":"-1","text":"foo"}}"#),
    ("time=null", "time: must be a time"),
    ("time=0000-01-01T00:00:00.00Z", "time: must be a time"),
    ("wait=null", "wait: must be seconds"),
    ("right=true&left=foobar", "left: cannot be given together with right"),
    ("right=true&middle.i32=-1", "middle.i32: cannot be given together with right"),
    ("middle.i32=-1&right=true", "right: cannot be given together with middle"),
    ("u64=1&u64=2", "u64: is given twice"),
    ("wrapped_many.value=1", "wrapped_many.value: wrapped_many has no fields to name"),
    ("f32.nested=x", "f32.nested: f32 has no fields to name"),
    ("i64.nested=x", "i64.nested: i64 has no fields to name"),
    ("flag.nested=x", "flag.nested: flag has no fields to name"),
    ("text.nested=x", "text.nested: text has no fields to name"),
    ("words.nested=x", "words.nested: words has no fields to name"),
    ("color.nested=x", "color.nested: color has no fields to name"),
    ("colors.nested=x", "colors.nested: colors has no fields to name"),
];

#[test]
fn queries() {
    for (query, expected) in QUERIES {
        expect(&requested("GET /v1", &format!("/v1?{query}"), ""), expected, query);
    }
}

/// The same file's filters are what path and body bind (`TestPopulateParametersWithFilters`). Theirs drops what a query
/// says of these: items 56 and 57, D18.
#[test]
fn queries_beside_path_and_body() {
    for (rule, target, body, expected) in [
        (
            "POST /{flag} inner",
            "/true?text=str",
            r#"{"text":"a"}"#,
            r#"{"flag":true,"text":"str","inner":{"text":"a"}}"#,
        ),
        ("POST /{flag} inner", "/true?flag=true", "", r#"{"flag":true}"#),
        ("POST /{flag} inner", "/true?flag=false", "", "flag: differs from the value in the path"),
        ("POST /{flag} inner", "/true?inner.text=str", "{}", "inner.text: is carried by the body"),
        ("GET /{inner.text}", "/a?inner.flag=true", "", r#"{"inner":{"text":"a","flag":true}}"#),
        ("GET /{inner.text}", "/a?inner.text=b", "", "inner.text: differs from the value in the path"),
    ] {
        expect(&requested(rule, target, body), expected, target);
    }
}

/// `runtime/marshal_jsonpb_test.go` and `fieldmask_test.go`: what is read of a body. The masks that the latter makes of
/// bodies are not made here.
const BODIES: Rows = &[
    (
        r#"{"inners":[{"text":"foo","i32":12345}],"u64":18446744073709551615,"color":"RED","paints":{"a":1,"b":0}}"#,
        r#"{"inners":[{"text":"foo","i32":12345}],"u64":"18446744073709551615","color":"RED",
            "paints":{"a":"RED","b":"COLOR_UNSPECIFIED"}}"#,
    ),
    (r#"{"u64":"18446744073709551615","color":1}"#, r#"{"u64":"18446744073709551615","color":"RED"}"#),
    (r#"{"u64":18446744073709551616}"#, "u64: must be a 64-bit integer that is not negative"),
    (r#"{"text":"6E","unknownField":"111"}"#, "unknownField: is not a field"), // D25; theirs by option
    (r#"{"empty":{}}"#, r#"{"empty":{}}"#),
    (r#"{"oddName":"a","renamed":"b"}"#, r#"{"oddName":"a","renamed":"b"}"#),
    (r#"{"RE_Named":"b"}"#, r#"{"renamed":"b"}"#),
    (r#"{"object":{"name":{"first":"bob"},"amount":2}}"#, r#"{"object":{"name":{"first":"bob"},"amount":2.0}}"#),
    (r#"{"any":{"name":{"first":"bob"},"amount":2}}"#, r#"{"any":{"name":{"first":"bob"},"amount":2.0}}"#),
    (r#"{"text":{"a":"x"}}"#, "text: must be a string"),
    (r#"{"words":{"b":"y"}}"#, "words: must be an array"),
    (r#"{"inner":[{"text":"foo"}]}"#, "inner: must be an object"),
    (
        r#"{"time":"2016-05-10T10:19:13.123Z","wait":"123.456s"}"#,
        r#"{"time":"2016-05-10T10:19:13.123Z","wait":"123.456s"}"#,
    ),
    (
        r#"{"i64":4294967296,"i32":-2147483648,"u64":9223372036854775807,"u32":4294967295,"s64":4611686018427387903}"#,
        r#"{"i64":"4294967296","i32":-2147483648,"u64":"9223372036854775807","u32":4294967295,"s64":"4611686018427387903"}"#,
    ),
];

#[test]
fn bodies() {
    for (body, expected) in BODIES {
        expect(&requested("POST /v1 *", "/v1", body), expected, body);
    }
}

/// `runtime/marshal_jsonpb_test.go`: single fields (`fieldFixtures`) and `TestJSONPbMarshalResponseBodies`, as a
/// `response_body`: the message, and the answer. Theirs writes integers of 64 bits that stand alone as numbers and an
/// absent list as `null`; ProtoJSON does not (item 72).
const ANSWERS: &[(&str, &str, &str)] = &[
    ("i32", r#"{"i32":1}"#, "1"),
    ("i64", r#"{"i64":"1"}"#, r#""1""#),
    ("u64", r#"{"u64":"1"}"#, r#""1""#),
    ("text", r#"{"text":"abc"}"#, r#""abc""#),
    ("data", r#"{"data":"YWJj"}"#, r#""YWJj""#),
    ("data", "{}", r#""""#),
    ("f32", r#"{"f32":1.5}"#, "1.5"),
    ("f64", r#"{"f64":1.5}"#, "1.5"),
    ("flag", r#"{"flag":true}"#, "true"),
    ("flag", "{}", "false"),
    ("maybe", "{}", r#""""#), // theirs null; here of its field's type: item 72
    ("color", r#"{"color":"RED"}"#, r#""RED""#),
    ("colors", r#"{"colors":["COLOR_UNSPECIFIED","RED"]}"#, r#"["COLOR_UNSPECIFIED","RED"]"#),
    ("counts", r#"{"counts":{"foo":1}}"#, r#"{"foo":1}"#),
    ("parts", r#"{"parts":{"foo":{"text":"bar"}}}"#, r#"{"foo":{"text":"bar"}}"#),
    ("by_i32", r#"{"by_i32":{"1":"foo"}}"#, r#"{"1":"foo"}"#),
    ("by_flag", r#"{"by_flag":{"true":"foo"}}"#, r#"{"true":"foo"}"#),
    ("wait", r#"{"wait":"123.456s"}"#, r#""123.456s""#),
    ("time", r#"{"time":"2016-05-10T10:19:13.123Z"}"#, r#""2016-05-10T10:19:13.123Z""#),
    ("empty", r#"{"empty":{}}"#, "{}"),
    ("any", r#"{"any":null}"#, "null"),
    ("any", r#"{"any":123.4}"#, "123.4"),
    ("any", r#"{"any":"abc"}"#, r#""abc""#),
    ("any", r#"{"any":true}"#, "true"),
    ("object", r#"{"object":{"foo_bar":true}}"#, r#"{"foo_bar":true}"#),
    ("wrapped_flag", r#"{"wrapped_flag":true}"#, "true"),
    ("wrapped_f64", r#"{"wrapped_f64":123.456}"#, "123.456"),
    ("wrapped_f32", r#"{"wrapped_f32":123.456}"#, "123.456"),
    ("wrapped_i32", r#"{"wrapped_i32":-123}"#, "-123"),
    ("wrapped_i64", r#"{"wrapped_i64":"-123"}"#, r#""-123""#),
    ("wrapped_u32", r#"{"wrapped_u32":123}"#, "123"),
    ("wrapped_u64", r#"{"wrapped_u64":"123"}"#, r#""123""#),
    ("inner", r#"{"inner":{"text":"abcdef"}}"#, r#"{"text":"abcdef"}"#),
    ("inner", "{}", "{}"),
    ("inners", r#"{"inners":[{},{"text":"abc","color":"RED"}]}"#, r#"[{},{"text":"abc","color":"RED"}]"#),
    ("inners", "{}", "[]"),
    ("words", r#"{"words":["something"]}"#, r#"["something"]"#),
    ("words", "{}", "[]"),
];

#[test]
fn answers() {
    for (field, message, expected) in ANSWERS {
        let answer = answered(&format!("GET /v1 -> {field}"), message, ResponseOptions::default());
        assert_eq!(answer, *expected, "{field} of {message}");
    }
}

/// The same file, `TestJSONPbMarshal` and `TestJSONPbEncoder`: the options.
#[test]
fn options_of_answers() {
    let defaults = || ResponseOptions::default();
    let message = r#"{"oddName":"a","wrapped_u64":"1","color":"RED"}"#;
    for (options, expected) in [
        (defaults(), r#"{"color":"RED","wrappedU64":"1","oddName":"a"}"#),
        (ResponseOptions { enum_numbers: true, ..defaults() }, r#"{"color":1,"wrappedU64":"1","oddName":"a"}"#),
        (ResponseOptions { proto_names: true, ..defaults() }, r#"{"color":"RED","wrapped_u64":"1","oddName":"a"}"#),
    ] {
        assert_eq!(answered("GET /v1", message, options), expected);
    }
    let all = answered("GET /v1", message, ResponseOptions { defaults: Defaults::Implicit, ..defaults() });
    assert!(all.contains(r#""s32":0"#) && all.contains(r#""words":[]"#) && !all.contains("maybe"), "{all}");
}
