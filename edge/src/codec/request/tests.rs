use proptest::prelude::*;

use super::*;
use crate::codec::{Output, ResponsePlan};
use crate::config::{Json, Names};
use crate::fixture;

fn plan(method: &str, spec: Spec) -> RequestPlan {
    RequestPlan::compile(&fixture::method(method), spec).unwrap()
}

fn spec(variables: &[&str], body: &str) -> Spec {
    Spec {
        variables: variables.iter().map(|name| (*name).to_owned()).collect(),
        body: body.to_owned(),
        ..Spec::default()
    }
}

fn lenient(body: &str) -> Spec {
    Spec { lenient: true, aliases: [("nombre".to_owned(), "id".to_owned())].into(), ..spec(&[], body) }
}

/// The message as JSON, or what is wrong with the request.
fn decode(plan: &RequestPlan, variables: &[&str], query: &str, payload: Payload) -> String {
    let variables: Vec<String> = variables.iter().map(|value| (*value).to_owned()).collect();
    match plan.decode(Input { variables: &variables, query }, payload) {
        Ok(bytes) => {
            let message = DynamicMessage::decode(plan.message.clone(), bytes).unwrap();
            let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
            let mut json = Vec::new();
            message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options).unwrap();
            String::from_utf8(json).unwrap()
        }
        Err(violations) => violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

fn json(text: &str) -> Payload {
    Payload::Json(Bytes::copy_from_slice(text.as_bytes()))
}

fn form(text: &str) -> Payload {
    Payload::Form(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn query_binds_every_unbound_field() {
    let plan = plan("Get", spec(&["id"], ""));
    for (query, expected) in [
        ("", r#"{"id":"a"}"#),
        ("flag=true&i32=-1&color=COLOR_RED", r#"{"id":"a","flag":true,"i32":-1,"color":"COLOR_RED"}"#),
        ("tags=a&tags=b,c", r#"{"id":"a","tags":["a","b,c"]}"#),
        ("numbers=1&numbers=2", r#"{"id":"a","numbers":[1,2]}"#),
        ("sub.name=n&sub.deep.count=2", r#"{"id":"a","sub":{"name":"n","deep":{"count":2}}}"#),
        ("sub%2Ename=n", r#"{"id":"a","sub":{"name":"n"}}"#),
        ("labels[k]=v&labels%5Bl%5D=w%20x", r#"{"id":"a","labels":{"#),
        ("pageSize=5", r#"{"id":"a","page_size":5}"#),
        ("page_size=5", r#"{"id":"a","page_size":5}"#),
        ("maybe=0", r#"{"id":"a","maybe":0}"#),
        ("left=x+y", r#"{"id":"a","left":"x y"}"#),
        ("time.seconds=5", r#"{"id":"a","time":"1970-01-01T00:00:05Z"}"#),
        ("text=x", r#"{"id":"a","text":"x"}"#),
        ("i64=9007199254740993", r#"{"id":"a","i64":"9007199254740993"}"#),
        ("id=a", r#"{"id":"a"}"#),
    ] {
        let decoded = decode(&plan, &["a"], query, Payload::Empty);
        assert!(decoded.starts_with(expected), "{query}: {decoded}");
    }
}

#[test]
fn query_is_refused_by_name() {
    let plan = plan("Get", spec(&["id"], ""));
    for (query, expected) in [
        ("zzz=1", "zzz: is not a field of this request"),
        ("pagesize=1", "pagesize: is not a field of this request; did you mean page_size?"),
        ("sub.nane=1", "sub.nane: is not a field of this request; did you mean name?"),
        ("i32=1&i32=2", "i32: is given twice"),
        ("i32=x", "i32: must be a 32-bit integer"),
        ("flag", "flag: must be true or false"),
        ("flag=True", "flag: must be true or false"),
        ("left=a&right=b", "right: cannot be given together with left: only one of choice can"),
        ("subs=x", "subs: is a message; name one of its fields"),
        ("subs.name=x", "subs.name: subs has no fields to name"),
        ("sub=x", "sub: is a message; name one of its fields"),
        ("labels=x", "labels: is a map; write labels[key]=value"),
        ("labels[a]=1&labels[a]=2", "labels[a]: is given twice"),
        ("tags[]=a", "tags[]: is not a map"),
        ("id=b", "id: differs from the value in the path"),
        ("left=%ff", "parameters must be UTF-8"),
        ("a=1&b=2", "a: is not a field of this request; b: is not a field of this request"),
    ] {
        let decoded = decode(&plan, &["a"], query, Payload::Empty);
        assert!(decoded.starts_with(expected), "{query}: {decoded}");
    }
}

#[test]
fn ignored_parameters_never_bind() {
    let plan = plan("Get", Spec { ignored_query: vec!["key".to_owned()], ..spec(&["id"], "") });
    assert_eq!(decode(&plan, &["a"], "key=1", Payload::Empty), r#"{"id":"a"}"#);
}

#[test]
fn whole_body() {
    let plan = plan("Create", spec(&["id"], "*"));
    for (body, expected) in [
        ("{}", r#"{"id":"a"}"#),
        (r#"{"id":"a","pageSize":1}"#, r#"{"id":"a","page_size":1}"#),
        (r#"{"i64":"5","u64":6}"#, r#"{"id":"a","i64":"5","u64":"6"}"#),
        (r#"{"sub":null,"any":null}"#, r#"{"id":"a","any":null}"#),
        (r#"{"id":"b"}"#, "id: differs from the value in the path"),
        (r#"{"zzz":1}"#, "zzz: is not a field of this request"),
        (r#"{"sub":{"nam":1}}"#, "sub.nam: is not a field of this request; did you mean name?"),
        (r#"{"subs":[{},{"nam":1}]}"#, "subs.1.nam: is not a field of this request; did you mean name?"),
        (r#"{"page_size":1,"pageSize":1}"#, "page_size: is given twice, as page_size and as pageSize"),
        (r#"{"sub":{"deep":{"count":1,"count":1}}}"#, "duplicate key \"count\""),
        (r#"{"any":[{"a":{"b":1,"b":1}}]}"#, "duplicate key \"b\""),
        (r#"{"subMap":{"k":{},"k":{}}}"#, "duplicate key \"k\""),
        (r#"{"i32":"x"}"#, "i32: invalid digit"),
        (r#"{"sub":{"count":"x"}}"#, "sub.count: invalid digit"),
        (r#"{"flag":"True"}"#, "flag: invalid type"),
        (r#"{"left":"a","right":"b"}"#, "multiple fields provided for oneof"),
        (r#"{"id":"a","#, "malformed JSON: EOF while parsing a value at line 1 column 10"),
        ("[]", "invalid type: sequence"),
        ("null", "invalid type: null"),
    ] {
        let decoded = decode(&plan, &["a"], "", json(body));
        assert!(decoded.contains(expected), "{body}: {decoded}");
    }
    assert_eq!(decode(&plan, &["a"], "", Payload::Empty), r#"{"id":"a"}"#);
    let refused = decode(&plan, &["a"], "left=q", json("{}"));
    assert_eq!(refused, "left: belongs in the body, which carries all fields of this call");
}

#[test]
fn body_field_of_any_kind() {
    for (field, body, expected) in [
        ("sub", r#"{"name":"n"}"#, r#"{"id":"a","sub":{"name":"n"}}"#),
        ("left", r#""hey""#, r#"{"id":"a","left":"hey"}"#),
        ("tags", r#"["x","y"]"#, r#"{"id":"a","tags":["x","y"]}"#),
        ("subs", r#"[{"count":1}]"#, r#"{"id":"a","subs":[{"count":1}]}"#),
        ("labels", r#"{"k":"v"}"#, r#"{"id":"a","labels":{"k":"v"}}"#),
        ("color", r#""COLOR_RED""#, r#"{"id":"a","color":"COLOR_RED"}"#),
        ("wait", r#""1.5s""#, r#"{"id":"a","wait":"1.500s"}"#),
        ("any", "[1]", r#"{"id":"a","any":[1.0]}"#),
        ("sub", "3", "sub: invalid type"),
    ] {
        let plan = plan("Create", spec(&["id"], field));
        let decoded = decode(&plan, &["a"], "", json(body));
        assert!(decoded.starts_with(expected), "{field} {body}: {decoded}");
    }
    let plan = plan("Create", spec(&["id"], "sub"));
    assert_eq!(
        decode(&plan, &["a"], "flag=true", json(r#"{"count":1}"#)),
        r#"{"id":"a","flag":true,"sub":{"count":1}}"#
    );
    assert_eq!(decode(&plan, &["a"], "sub.count=1", json("{}")), "sub.count: is carried by the body");
    assert_eq!(decode(&plan, &["a"], "", form("name=n&count=3")), r#"{"id":"a","sub":{"name":"n","count":3}}"#);
}

/// Unbounded, a path of a few kilobytes overflows the stack of whatever writes the message.
#[test]
fn depth_of_paths_is_bounded() {
    let plan = plan("Create", spec(&[], "*"));
    let nested = |depth: usize| form(&format!("sub.{}count=1", "deep.".repeat(depth)));
    assert!(decode(&plan, &[], "", nested(63)).starts_with("{\"sub\":"));
    for depth in [64, 100_000] {
        assert!(decode(&plan, &[], "", nested(depth)).ends_with("is nested deeper than 64"), "{depth}");
    }
}

#[test]
fn forms_bind_like_queries() {
    let plan = plan("Create", spec(&[], "*"));
    assert_eq!(
        decode(&plan, &[], "", form("id=a+b&tags=x&tags=y&sub.name=n")),
        r#"{"id":"a b","tags":["x","y"],"sub":{"name":"n"}}"#
    );
    assert_eq!(decode(&plan, &[], "", form("zzz=1")), "zzz: is not a field of this request");
}

#[test]
fn lenient_bindings_merge_and_coerce() {
    let plan = plan("Create", lenient("*"));
    for (query, payload, expected) in [
        ("", json(r#"{"flag":"True","id":7,"i32":"3","zzz":1}"#), r#"{"id":"7","flag":true,"i32":3}"#),
        ("", json(r#"{"flag":1,"sub":{"count":"2","x":0}}"#), r#"{"flag":true,"sub":{"count":2}}"#),
        ("", json(r#"{"nombre":"n"}"#), r#"{"id":"n"}"#),
        ("nombre=n&zzz=1&flag=yes", Payload::Empty, r#"{"id":"n","flag":true}"#),
        ("id=q&i32=1", json(r#"{"id":"b"}"#), r#"{"id":"b","i32":1}"#),
        ("i32=1", form("id=f&flag=False"), r#"{"id":"f","i32":1}"#),
        ("", json(r#"{"flag":"maybe"}"#), "flag: invalid type"),
        ("i32=x", Payload::Empty, "i32: must be a 32-bit integer"),
    ] {
        let text = format!("{query} {payload:?}");
        let decoded = decode(&plan, &[], query, payload);
        assert!(decoded.starts_with(expected), "{text}: {decoded}");
    }
}

#[test]
fn any_json_is_a_value() {
    let plan = plan("Push", Spec { aliases: BTreeMap::new(), ..lenient("body") });
    for (payload, expected) in [
        (json(r#"{"a":[1,null]}"#), r#"{"body":{"a":[1.0,null]}}"#),
        (json("null"), r#"{"body":null}"#),
        (json(r#""text""#), r#"{"body":"text"}"#),
        (form("a=1&b=x"), r#"{"body":{"#),
        (Payload::Empty, "{}"),
    ] {
        let decoded = decode(&plan, &[], "", payload);
        assert!(decoded.starts_with(expected), "{decoded}");
    }
    assert_eq!(decode(&plan, &[], "queue=q", json("1")), r#"{"queue":"q","body":1.0}"#);
}

#[test]
fn what_cannot_work_is_refused_at_load() {
    for (variables, body, expected) in [
        (&["nope"][..], "", "path variable {nope}: is not a field of this request"),
        (&["tags"], "", "path variable {tags}: is repeated"),
        (&["sub"], "", "path variable {sub}: is a message"),
        (&["subs.name"], "", "path variable {subs.name}: subs has no fields to name"),
        (&["labels"], "", "path variable {labels}: is a map"),
        (&[], "nope", "body: \"nope\" is not a field of test.v1.Everything"),
        (&[], "sub.name", "body: \"sub.name\" is not a field"),
    ] {
        let problems = RequestPlan::compile(&fixture::method("Create"), spec(variables, body)).unwrap_err();
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
    assert_eq!(RequestPlan::compile(&fixture::method("Create"), spec(&["a1", "b1"], "c1")).unwrap_err().len(), 3);
    let plan = plan("Get", spec(&["sub.name", "time", "i32"], ""));
    assert_eq!(
        decode(&plan, &["n", "1970-01-01T00:00:00Z", "3"], "", Payload::Empty),
        r#"{"i32":3,"sub":{"name":"n"},"time":"1970-01-01T00:00:00Z"}"#
    );
    assert_eq!(decode(&plan, &["n", "x", "3"], "", Payload::Empty), "time: must be a time like 2026-01-31T12:00:00Z");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// JSON to wire to JSON gives back what was sent.
    #[test]
    fn json_survives_the_round_trip(
        id in "[a-z]{1,8}",
        i32 in 1..i32::MAX,
        i64 in 1..i64::MAX,
        double in 0.001..1e9_f64,
        tags in proptest::collection::vec("\\PC{0,6}", 1..4),
        count in 1..9_i32,
    ) {
        let sent = serde_json::json!({
            "id": id, "flag": true, "i32": i32, "i64": i64.to_string(), "double": double, "tags": tags,
            "sub": { "name": "n", "deep": { "count": count } }, "subs": [{ "count": count }],
        });
        let method = fixture::method("Create");
        let plan = RequestPlan::compile(&method, spec(&[], "*")).unwrap();
        let wire = plan.decode(Input { variables: &[], query: "" }, json(&sent.to_string())).unwrap();
        let json = Json { names: Names::Proto, ..Json::default() };
        let Output::Json { text: back, .. } = ResponsePlan::compile(&method, "", &json).unwrap().encode(wire).unwrap() else {
            return Err(TestCaseError::fail("not JSON"));
        };
        prop_assert_eq!(serde_json::from_slice::<Value>(&back).unwrap(), sent);
    }
}
