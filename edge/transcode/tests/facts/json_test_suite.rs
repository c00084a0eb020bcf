//! nst/JSONTestSuite: what is JSON and what is not, as the body of a `google.protobuf.Value`.

use std::fmt::Debug;

use malla_transcode::bind::{Payload, RequestOptions};
use serde_json::Value;

use crate::support::{expect, requested_with};

/// `test_parsing/y_*` and of `test_transform` what we take: JSON, and it means what another reader finds in it.
#[rustfmt::skip] // Several rows on a line.
const TAKEN: &[&[u8]] = &[
    // Arrays.
    b"[[]   ]", br#"[""]"#, b"[]", br#"["a"]"#, b"[false]", br#"[null, 1, "1", {}]"#, b"[null]", b"[1\n]", b" [1]",
    b"[1,null,null,null,2]", b"[2] ",
    // Numbers.
    b"[123e65]", b"[0e+1]", b"[0e1]", b"[ 4]",
    b"[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]\n", b"[20e1]", b"[-0]",
    b"[-123]", b"[-1]", b"[1E22]", b"[1E-2]", b"[1E+2]", b"[123e45]", b"[123.456e78]", b"[1e-2]", b"[1e+2]", b"[123]",
    b"[123.456789]",
    // Objects.
    br#"{"asd":"sdf", "dfg":"fgh"}"#, br#"{"asd":"sdf"}"#, b"{}",
    br#"{"":0}"#, br#"{"foo\u0000bar": 42}"#, br#"{ "min": -1.0e+28, "max": 1.0e+28 }"#,
    br#"{"x":[{"id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}], "id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
    br#"{"a":[]}"#,
    br#"{"title":"\u041f\u043e\u043b\u0442\u043e\u0440\u0430 \u0417\u0435\u043c\u043b\u0435\u043a\u043e\u043f\u0430" }"#,
    b"{\n\"a\": \"b\"\n}",
    // Strings.
    br#"["\u0060\u012a\u12AB"]"#, br#"["\uD801\udc37"]"#, br#"["\ud83d\ude39\ud83d\udc8d"]"#,
    br#"["\"\\\/\b\f\n\r\t"]"#, br#"["\\u0000"]"#, br#"["\""]"#, br#"["a/*b*/c/*d//e"]"#, br#"["\\a"]"#,
    br#"["\\n"]"#, br#"["\u0012"]"#, br#"["\uFFFF"]"#, br#"["asd"]"#, br#"[ "asd"]"#, br#"["\uDBFF\uDFFF"]"#,
    br#"["new\u00A0line"]"#, b"[\"\xf4\x8f\xbf\xbf\"]", b"[\"\xef\xbf\xbf\"]", br#"["\u0000"]"#, br#"["\u002c"]"#,
    b"[\"\xcf\x80\"]", b"[\"\xf0\x9b\xbf\xbf\"]", br#"["asd "]"#, br#"" ""#, br#"["\uD834\uDd1e"]"#, br#"["\u0821"]"#,
    br#"["\u0123"]"#, b"[\"\xe2\x80\xa8\"]", b"[\"\xe2\x80\xa9\"]", br#"["\u0061\u30af\u30EA\u30b9"]"#,
    br#"["new\u000Aline"]"#, b"[\"\x7f\"]", br#"["\uA66D"]"#, br#"["\u005C"]"#,
    b"[\"\xe2\x8d\x82\xe3\x88\xb4\xe2\x8d\x82\"]", br#"["\uDBFF\uDFFE"]"#, br#"["\uD83F\uDFFE"]"#, br#"["\u200B"]"#,
    br#"["\u2064"]"#, br#"["\uFDD0"]"#, br#"["\uFFFE"]"#, br#"["\u0022"]"#, b"[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]",
    b"[\"a\x7fa\"]",
    // The whole.
    b"false", b"42", b"-0.1", b"null", br#""asd""#, b"true", br#""""#, b"[\"a\"]\n", b"[true]", b" [] ",
    // Of `test_transform`.
    b"[1.0]", b"[1.000000000000000005]", b"[1000000000000000]", b"[1E-999]", b"[1E6]", br#"["A\u0000B"]"#,
    b"{\"\xc3\xa9\":\"NFC\",\"e\xcc\x81\":\"NFD\"}", b"{\"e\xcc\x81\":\"NFD\",\"\xc3\xa9\":\"NFC\"}",
    // Of `i_number_*`: what is nearest to a very small number is zero.
    b"[123.456e-789]", b"[123e-10000000]",
    // And large integers that doubles are.
    b"[100000000000000000000]", b"[-9223372036854775808]", b"[9223372036854775808]",
];

/// `test_parsing/n_*`: no JSON.
#[rustfmt::skip] // Several rows on a line.
const REFUSED: &[&[u8]] = &[
    // Arrays.
    b"[1 true]", b"[a\xe5]", br#"["": 1]"#, br#"[""],"#, b"[,1]", b"[1,,2]", br#"["x",,]"#, br#"["x"]]"#, br#"["",]"#,
    br#"["x""#, b"[x", b"[3[4]]", b"[\xff]", b"[1:2]", b"[,]", b"[-]", br#"[   , ""]"#, b"[\"a\",\n4\n,1,", b"[1,]",
    b"[1,,]", b"[\"\x0ba\"\\f]", b"[*]", br#"["""#, b"[1,", b"[1,\n1\n,1", b"[{}",
    b"[fals]", b"[nul]", b"[tru]",
    b"123\x00",
    // Numbers.
    b"[++1234]", b"[+1]", b"[+Inf]", b"[-01]", b"[-1.0.]", b"[-2.]", b"[-NaN]", b"[.-1]", b"[.2e-3]", b"[0.1.2]",
    b"[0.3e+]", b"[0.3e]", b"[0.e1]", b"[0E+]", b"[0E]", b"[0e+]", b"[0e]", b"[1.0e+]", b"[1.0e-]", b"[1.0e]",
    b"[1 000.0]", b"[1eE2]", b"[2.e+3]", b"[2.e-3]", b"[2.e3]", b"[9.e+]", b"[Inf]", b"[NaN]", b"[\xef\xbc\x91]",
    b"[1+2]", b"[0x1]", b"[0x42]", b"[Infinity]", b"[0e+-1]", b"[-123.123foo]", b"[123\xe5]", b"[1e1\xe5]",
    b"[0\xe5]\n", b"[-Infinity]", b"[-foo]", b"[- 1]", b"[-012]", b"[-.123]", b"[-1x]", b"[1ea]", b"[1e\xe5]",
    b"[1.]", b"[.123]", b"[1.2a-3]", b"[1.8011670033376514H-308]", b"[012]",
    // Objects.
    br#"["x", truth]"#, b"{[: \"x\"}\n", br#"{"x", null}"#, br#"{"x"::"b"}"#, b"{\xf0\x9f\x87\xa8\xf0\x9f\x87\xad}",
    br#"{"a":"a" 123}"#, b"{key: 'value'}", b"{\"\xb9\":\"0\",}", br#"{"a" b}"#, br#"{:"b"}"#, br#"{"a" "b"}"#,
    br#"{"a":"#, br#"{"a""#, b"{1:1}", b"{9999E9999:1}", b"{null:null,null:null}", br#"{"id":0,,,,,}"#, b"{'a':0}",
    br#"{"id":0,}"#, br#"{"a":"b"}/**/"#, br#"{"a":"b"}/**//"#, br#"{"a":"b"}//"#, br#"{"a":"b"}/"#,
    br#"{"a":"b",,"c":"d"}"#, br#"{a: "b"}"#, br#"{"a":"a"#, br#"{ "foo" : "bar", "a" }"#, br#"{"a":"b"}#"#,
    b" ",
    // Strings.
    br#"["\uD800\"]"#, br#"["\uD800\u"]"#, br#"["\uD800\u1"]"#, br#"["\uD800\u1x"]"#, b"[\xc3\xa9]", b"[\"\\\x00\"]",
    br#"["\x00"]"#, br#"["\\\"]"#, b"[\"\\\t\"]", b"[\"\\\xf0\x9f\x8c\x80\"]", br#"["\"]"#, br#"["\u00A"]"#,
    br#"["\uD834\uDd"]"#, br#"["\uD800\uD800\x"]"#, b"[\"\\u\xe5\"]", br#"["\a"]"#, br#"["\uqqqq"]"#, b"[\"\\\xe5\"]",
    br#"[\u0020"asd"]"#, br#"[\n]"#, br#"""#, b"['single quote']", b"abc", br#"["\"#, b"[\"a\x00a\"]",
    b"[\"new\nline\"]", b"[\"\t\"]", br#""\UA66D""#, br#"""x"#,
    // The whole.
    b"[\xe2\x81\xa0]", b"\xef\xbb\xbf", b"<.>", b"[<null>]", b"[1]x", b"[1]]", br#"["asd]"#, b"a\xc3\xa5", b"[True]",
    b"1]", br#"{"x": true,"#, b"[][]", b"]", b"\xef\xbb{}", b"\xe5", b"[", b"", b"[\x00]", b"2@", b"{}}", br#"{"":"#,
    br#"{"a":/*comment*/"b"}"#, br#"{"a": true} "x""#, b"['", b"[,", b"[{", br#"["a"#, br#"["a""#, b"{", b"{]", b"{,",
    b"{[", br#"{"a"#, b"{'a'", br#"["\{["\{["\{["\{"#, b"\xe9", b"*", br#"{"a":"b"}#{}"#, br#"[\u000A""]"#, b"[1",
    b"[ false, nul", b"[ true, fals", b"[ false, tru", br#"{"asd":"asd""#, b"\xc3\xa5", b"[\x0c]",
];

/// `test_parsing/i_*`, where readers are free, what else is in `test_transform`, and two rows of `y_*`: JSON that has no
/// one meaning, which we refuse.
const DECIDED: &[(&[u8], &str)] = &[
    // Names that are there twice, items 64 and D27: `y_object_duplicated_key*` are taken there.
    (br#"{"a":"b","a":"c"}"#, "any.a: is there twice"),
    (br#"{"a":"b","a":"b"}"#, "any.a: is there twice"),
    (br#"{"a":1,"a":2}"#, "any.a: is there twice"),
    (br#"{"a":0, "a":-0}"#, "any.a: is there twice"),
    // Numbers that a double cannot hold at all.
    (b"[0.4e0066999999999999999999999999999999969999999006]", "any[0]: must be a number that fits a double"),
    (b"[-1e+9999]", "any[0]: must be a number that fits a double"),
    (b"[1.5e+9999]", "any[0]: must be a number that fits a double"),
    (b"[-123123e100000]", "any[0]: must be a number that fits a double"),
    (b"[123123e100000]", "any[0]: must be a number that fits a double"),
    // Integers that it would round: a client takes those for exact.
    (b"[-123123123123123123123123123123]", "any[0]: is an integer beyond 2^53"),
    (b"[-237462374673276894279832749832423479823246327846]", "any[0]: is an integer beyond 2^53"),
    (b"[-9223372036854775809]", "any[0]: is an integer beyond 2^53"),
    (b"[9223372036854775807]", "any[0]: is an integer beyond 2^53"),
    (b"[10000000000000000999]", "any[0]: is an integer beyond 2^53"),
    // Halves of surrogate pairs, which are no characters (item 70).
    (br#"{"\uDFAA":0}"#, "any: malformed JSON: expected both halves of a surrogate pair"),
    (br#"["\uDADA"]"#, SURROGATE),
    (br#"["\uD888\u1234"]"#, SURROGATE),
    (br#"["\uD800\n"]"#, SURROGATE),
    (br#"["\uDd1ea"]"#, SURROGATE),
    (br#"["\uD800\uD800\n"]"#, SURROGATE),
    (br#"["\ud800abc"]"#, SURROGATE),
    (br#"["\uDd1e\uD834"]"#, SURROGATE),
    (br#"["\uD800\uD800\uD800"]"#, SURROGATE),
    // Anything but UTF-8, or with a mark before it (item 64).
    (b"\xef\xbb\xbf{}", "any: malformed JSON: expected a value at line 1, column 1"),
    (b"\xff\xfe[\x00\"\x00\xe9\x00\"\x00]\x00", "any: is not UTF-8 at byte 0"),
    (b"\x00[\x00\"\x00\xe9\x00\"\x00]", "any[0]: is not UTF-8 at byte 5"),
    (b"[\x00\"\x00\xe9\x00\"\x00]\x00", "any[0]: is not UTF-8 at byte 4"),
    (b"[\"\xe6\x97\xa5\xd1\x88\xfa\"]", "any[0]: is not UTF-8 at byte 7"),
    (b"[\"\xed\xa0\x80\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xff\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xe9\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\x81\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xf4\xbf\xbf\xbf\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xc0\xaf\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xfc\x80\x80\x80\x80\x80\"]", "any[0]: is not UTF-8 at byte 2"),
    (b"[\"\xe0\xff\"]", "any[0]: is not UTF-8 at byte 2"),
];

const SURROGATE: &str = "any[0]: malformed JSON: expected both halves of a surrogate pair";

fn value_of(body: &[u8]) -> String {
    requested_with("POST /v1 any", "/v1", Payload::Json(body), RequestOptions::default())
}

/// The same as the value of a field that is ignored: what is passed over has to be JSON too.
fn passed_over(value: &[u8]) -> String {
    let body = [br#"{"nobody":"#, value, b"}"].concat();
    let options = RequestOptions { ignore_unknown_fields: true, ..RequestOptions::default() };
    requested_with("POST /v1 *", "/v1", Payload::Json(&body), options)
}

/// Only doubles are in a `Value`.
fn with_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.into_iter().map(with_doubles).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, with_doubles(value))).collect(),
        other => other,
    }
}

fn shown(body: &[u8]) -> impl Debug {
    String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned()
}

#[test]
fn json_is_taken_and_means_the_same() {
    for body in TAKEN {
        let result = value_of(body);
        let Ok(mut message) = serde_json::from_str::<Value>(&result) else { panic!("{:?}: {result}", shown(body)) };
        let expected = serde_json::from_slice(body).unwrap();
        assert_eq!(with_doubles(message["any"].take()), with_doubles(expected), "{:?}", shown(body));
        assert_eq!(passed_over(body), "{}", "{:?}", shown(body));
    }
}

#[test]
fn what_is_no_json_is_refused() {
    // The two large ones, of which only the beginning matters.
    let open = [b"[".repeat(100_000), br#"[{"":"#.repeat(50_000)];
    for body in REFUSED.iter().copied().chain(open.iter().map(Vec::as_slice)) {
        let result = value_of(body);
        assert!(result.starts_with("any") && result.contains(": "), "{:?}: {result}", shown(body));
        let result = passed_over(body);
        assert!(!result.starts_with('{'), "{:?}: {result}", shown(body));
    }
}

#[test]
fn json_without_one_meaning_is_refused() {
    for (body, expected) in DECIDED {
        expect(&value_of(body), expected, &format!("{:?}", shown(body)));
    }
    // `i_structure_500_nested_arrays`: no deeper than protobuf's readers go (item 70).
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    expect(&value_of(&nested(500)), "any", "500 deep");
    assert!(value_of(&nested(500)).contains("nests deeper than"));
    assert!(value_of(&nested(48)).starts_with("{\"any\":[["));
}
