use std::sync::LazyLock;

use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, Value};

use super::*;
use crate::check::{Clashes, check};
use crate::fixture;
use crate::rule::{Binding, Declared};

mod contradictions;
mod parameters;
mod proto2;

const PROTO: &str = r#"
syntax = "proto3";
package test.v1;
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
service Echo {
  rpc Get(Everything) returns (Everything);
  rpc Push(PushRequest) returns (PushRequest);
  rpc Upload(UploadRequest) returns (google.api.HttpBody);
}
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
message Everything {
  string id = 1; bool flag = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; float float = 7;
  double double = 8; bytes data = 9; Color color = 10; repeated string tags = 11; repeated int32 numbers = 12;
  Sub sub = 13; repeated Sub subs = 14; map<string, string> labels = 15;
  oneof choice { string left = 16; string right = 17; Sub azure = 28; }
  google.protobuf.Timestamp time = 18; google.protobuf.Duration wait = 19; google.protobuf.FieldMask mask = 20;
  google.protobuf.StringValue text = 21; optional int32 maybe = 22; google.protobuf.Value any = 23;
  int32 page_size = 24; map<string, Sub> sub_map = 25; map<int32, Color> colors = 26;
  repeated int32 loose = 27 [packed = false]; google.protobuf.Struct object = 29;
  google.protobuf.ListValue list = 30; google.protobuf.Any detail = 31; repeated google.protobuf.Value values = 32;
  map<string, google.protobuf.Value> value_map = 33; google.protobuf.Int64Value size = 34; google.protobuf.BytesValue blob = 35;
}
message Sub { string name = 1; Sub deep = 2; int32 count = 3; }
message PushRequest { string queue = 1; google.protobuf.Value body = 2; }
message UploadRequest { string path = 1; google.api.HttpBody content = 2; }
"#;

static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| fixture::compile(&[("test.proto", PROTO)]));
static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(Schema::new(&[&DESCRIPTORS]).unwrap()));
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS.as_slice()).unwrap());

fn descriptor(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(name).unwrap()
}

fn compile(method: &str, path: &str, body: &str, options: RequestOptions) -> Result<RequestPlan, Vec<String>> {
    let method = SCHEMA.find_method(&format!("test.v1.Echo.{method}")).unwrap();
    let binding = Binding { http_method: "POST".into(), path: path.into(), body: body.into(), ..Binding::default() };
    let declared =
        Declared { schema: &SCHEMA, method, binding, index: 0, file: "".into(), line: 0, required_query: Vec::new() };
    let (table, findings) = check(vec![declared], Clashes::Refuse);
    let rule = table.rules().first().unwrap_or_else(|| panic!("{findings:?}"));
    RequestPlan::compile(SCHEMA.clone(), &rule.value, options)
}

fn plan(path: &str, body: &str) -> RequestPlan {
    compile("Get", path, body, RequestOptions::default()).unwrap()
}

fn lenient(method: &str, body: &str) -> RequestPlan {
    let aliases = [("nombre".into(), "id".into()), ("cuenta".into(), "sub.count".into())].into();
    let aliases = if method == "Get" { aliases } else { BTreeMap::new() };
    compile(method, "/v1", body, RequestOptions { lenient: true, aliases, ..RequestOptions::default() }).unwrap()
}

fn message(plan: &RequestPlan, bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(descriptor(&plan.schema[plan.message].name), bytes).unwrap()
}

/// The message as JSON, or what is wrong with the request.
fn decode(plan: &RequestPlan, variables: &[&str], query: &str, payload: Payload<'_>) -> String {
    let mut out = vec![0xff];
    let result = plan.decode(variables, query, payload, &mut out);
    assert_eq!(out[0], 0xff);
    let Err(violations) = result else {
        let options = SerializeOptions::new().use_proto_field_name(true);
        let mut json = Vec::new();
        let serializer = &mut serde_json::Serializer::new(&mut json);
        message(plan, &out[1..]).serialize_with_options(serializer, &options).unwrap();
        return String::from_utf8(json).unwrap();
    };
    assert_eq!(out.len(), 1, "nothing is appended");
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn json(text: &str) -> Payload<'_> {
    Payload::Json(text.as_bytes())
}

fn form(text: &str) -> Payload<'_> {
    Payload::Form(text.as_bytes())
}

#[test]
fn query_binds_every_unbound_field() {
    let plan = plan("/v1/{id}", "");
    for (query, expected) in [
        ("", r#"{"id":"a"}"#),
        ("&&", r#"{"id":"a"}"#),
        ("flag=true&i32=-1&color=COLOR_RED", r#"{"id":"a","flag":true,"i32":-1,"color":"COLOR_RED"}"#),
        ("color=1&i32=1e2&data=-_8", r#"{"id":"a","i32":100,"data":"+/8=","color":"COLOR_RED"}"#),
        ("tags=a&i32=7&tags=b,c&tags=", r#"{"id":"a","i32":7,"tags":["a","b,c",""]}"#),
        ("numbers=1&numbers=2&loose=0&loose=3", r#"{"id":"a","numbers":[1,2],"loose":[0,3]}"#),
        ("sub.name=n&flag=true&sub.deep.count=2", r#"{"id":"a","flag":true,"sub":{"name":"n","deep":{"count":2}}}"#),
        ("sub.count=0", r#"{"id":"a","sub":{}}"#),
        ("sub%2Ename=n", r#"{"id":"a","sub":{"name":"n"}}"#),
        ("labels[k]=v", r#"{"id":"a","labels":{"k":"v"}}"#),
        ("labels%5Bl.m[%5D=w%20x", r#"{"id":"a","labels":{"l.m[":"w x"}}"#),
        ("colors[-7]=COLOR_RED", r#"{"id":"a","colors":{"-7":"COLOR_RED"}}"#),
        ("pageSize=5", r#"{"id":"a","page_size":5}"#),
        ("page_size=5", r#"{"id":"a","page_size":5}"#),
        ("maybe=0", r#"{"id":"a","maybe":0}"#),
        ("left=x+y", r#"{"id":"a","left":"x y"}"#),
        ("left", r#"{"id":"a","left":""}"#),
        ("azure.name=n&azure.count=1", r#"{"id":"a","azure":{"name":"n","count":1}}"#),
        ("time=2026-01-31T12:00:00Z&wait=1.5s", r#"{"id":"a","time":"2026-01-31T12:00:00Z","wait":"1.500s"}"#),
        ("time.seconds=5&time.nanos=1000000", r#"{"id":"a","time":"1970-01-01T00:00:05.001Z"}"#),
        ("mask=tags,sub.deepName", r#"{"id":"a","mask":"tags,sub.deepName"}"#),
        ("text=x", r#"{"id":"a","text":"x"}"#),
        ("text.value=x", r#"{"id":"a","text":"x"}"#),
        ("i64=9007199254740993", r#"{"id":"a","i64":"9007199254740993"}"#),
        ("double=-Infinity", r#"{"id":"a","double":"-Infinity"}"#),
        ("id=a", r#"{"id":"a"}"#),
    ] {
        assert_eq!(decode(&plan, &["a"], query, Payload::Empty), expected, "{query}");
    }
}

#[test]
fn query_is_refused_by_name() {
    let plan = plan("/v1/{id}", "");
    for (query, expected) in [
        ("zzz=1", "zzz: is not a field of this request"),
        ("pagesize=1", "pagesize: is not a field of this request; did you mean pageSize?"),
        ("sub.nane=1", "sub.nane: is not a field of this request; did you mean name?"),
        ("=1", "=: is not a field of this request"),
        ("i32=1&i32=1", "i32: is given twice"),
        ("i32=x", "i32: must be a 32-bit integer"),
        ("i32=2147483648", "i32: must be a 32-bit integer"),
        ("flag", "flag: must be true or false"),
        ("flag=True", "flag: must be true or false"),
        ("wait=1m", "wait: must be seconds like 1.5s"),
        (
            "time.seconds=999999999999999",
            "time.seconds: is of a google.protobuf.Timestamp that is not in the years 1 to 9999",
        ),
        ("time.nanos=-1", "time.nanos: is of a google.protobuf.Timestamp that is"),
        ("wait.seconds=315576000001", "wait.seconds: is of a google.protobuf.Duration that is"),
        ("any.number_value=NaN", "any.number_value: is of a google.protobuf.Value that is a number that JSON does not"),
        ("mask=a_B", "mask: must be names in camel case"),
        ("left=a&right=b", "right: cannot be given together with left: only one of choice can"),
        ("left=a&azure.name=b", "azure.name: cannot be given together with left: only one of choice can"),
        ("subs=x", "subs: is a message; name one of its fields"),
        ("subs.name=x", "subs.name: subs has no fields to name"),
        ("subs[0].name=x", "subs[0].name: subs has no fields to name"),
        ("sub=x", "sub: is a message; name one of its fields"),
        ("any=1", "any: is a message; name one of its fields"),
        ("object={}", "object: may be any JSON, which only a body can hold here"),
        ("list=[]", "list: may be any JSON"),
        ("detail=1", "detail: is a message; name one of its fields"),
        ("labels=x", "labels: is a map; write labels[key]=value"),
        ("labels[a]=1&labels[a]=2", "labels[a]: is given twice"),
        ("sub_map[a]=1", "sub_map[a]: is a message"),
        ("colors[x]=1", "colors[x]: has a key that must be a 32-bit integer"),
        ("tags[]=a", "tags[]: is not a map"),
        ("text=x&text.value=x", "text.value: is given twice"),
        ("time.seconds=5&time=1970-01-01T00:00:05Z", "time: is given twice"),
        ("id=b", "id: differs from the value in the path; leave it out"),
        ("left=%ff", "left: is not UTF-8"),
        ("left=100%", "left: has a '%' that is not followed by two hexadecimal digits"),
        ("a=1&b=2", "a: is not a field of this request; b: is not a field of this request"),
    ] {
        let decoded = decode(&plan, &["a"], query, Payload::Empty);
        assert!(decoded.starts_with(expected), "{query}: {decoded}");
    }
    let in_path = compile("Get", "/v1/{time.seconds}", "", RequestOptions::default()).unwrap();
    assert!(decode(&in_path, &["999999999999999"], "", Payload::Empty).starts_with("time.seconds: is of a google"));
    let many = |count: usize| "tags=a&".repeat(count);
    assert!(!decode(&plan, &["a"], &many(1_000), Payload::Empty).contains("more than"));
    assert_eq!(decode(&plan, &["a"], &many(1_001), Payload::Empty), "more than 1000 parameters");
    assert_eq!(decode(&plan, &["a"], &"zzz=1&".repeat(99), Payload::Empty).matches("zzz").count(), VIOLATIONS_MAX);
}

#[test]
fn what_is_written_is_as_declared() {
    let plan = plan("/v1", "");
    let mut out = Vec::new();
    plan.decode::<&str>(&[], "numbers=1&loose=1&sub.count=1&flag=false", Payload::Empty, &mut out).unwrap();
    assert_eq!(out, [12 << 3 | 2, 1, 1, 27 << 3 & 0x7f | 0x80, 1, 1, 13 << 3 | 2, 2, 24, 1]);
}

#[test]
fn some_parameters_never_bind() {
    let options = RequestOptions { ignored_query: vec!["key".into()], ..RequestOptions::default() };
    let plan = compile("Get", "/v1/{id}", "*", options).unwrap();
    assert_eq!(decode(&plan, &["a"], "key=1&k%65y=2", Payload::Empty), r#"{"id":"a"}"#);
    assert_eq!(decode(&plan, &["a"], "key=1", form("i32=1")), r#"{"id":"a","i32":1}"#);
    let options = RequestOptions { ignore_unknown_parameters: true, ..RequestOptions::default() };
    let plan = compile("Get", "/v1/{id}", "", options.clone()).unwrap();
    assert_eq!(decode(&plan, &["a"], "zzz=1&sub.zzz=2&i32=1", Payload::Empty), r#"{"id":"a","i32":1}"#);
    for (query, expected) in [
        ("i32=x", "i32: must be a 32-bit integer"),
        ("labels=x", "labels: is a map; write labels[key]=value"),
        ("subs.name=x", "subs.name: subs has no fields to name"),
    ] {
        assert_eq!(decode(&plan, &["a"], query, Payload::Empty), expected);
    }
    let plan = compile("Get", "/v1/{id}", "*", options).unwrap();
    assert_eq!(decode(&plan, &["a"], "zzz=1", json("{}")), r#"{"id":"a"}"#);
    assert!(decode(&plan, &["a"], "zzz=1&left=q", json("{}")).starts_with("left: belongs in the body"));
}

#[test]
fn whole_body() {
    let plan = plan("/v1/{id}", "*");
    for (body, expected) in [
        ("{}", r#"{"id":"a"}"#),
        (r#"{"id":"a","pageSize":1}"#, r#"{"id":"a","page_size":1}"#),
        (r#"{"i64":"5","u64":6}"#, r#"{"id":"a","i64":"5","u64":"6"}"#),
        (r#"{"sub":null,"any":null}"#, r#"{"id":"a","any":null}"#),
        (r#"{"id":"b"}"#, "id: differs from the value in the path"),
        (r#"{"id":""}"#, "id: differs from the value in the path"),
        (r#"{"zzz":1}"#, "zzz: is not a field of test.v1.Everything"),
        (r#"{"sub":{"nam":1}}"#, "sub.nam: is not a field of test.v1.Sub; did you mean name?"),
        (r#"{"page_size":1,"pageSize":1}"#, "pageSize: is there twice"),
        (r#"{"flag":"True","i32":"x"}"#, "flag: must be true or false; i32: must be a 32-bit integer"),
        (r#"{"left":"a","right":"b"}"#, "right: another field of the oneof choice is there too"),
        (r#"{"any":[9007199254740993]}"#, "any[0]: is an integer beyond 2^53"),
        (r#"{"any":-9007199254740993}"#, "any: is an integer beyond 2^53"),
        (r#"{"any":[9007199254740992,1e300]}"#, r#"{"id":"a","any":[9007199254740992.0,1e+300]}"#),
        (r#"{"any":10000000000000000}"#, r#"{"id":"a","any":1e+16}"#),
        (r#"{"id":"a","#, "malformed JSON: expected"),
        ("null", "must be an object"),
    ] {
        let decoded = decode(&plan, &["a"], "", json(body));
        assert!(decoded.starts_with(expected), "{body}: {decoded}");
    }
    assert_eq!(decode(&plan, &["a"], "", Payload::Empty), r#"{"id":"a"}"#);
    let refused = decode(&plan, &["a"], "left=q", json("{}"));
    assert_eq!(refused, "left: belongs in the body, which carries all fields of this call");
    let refused = decode(&plan, &["a"], "labels=q&lef=q", json("{}"));
    assert!(refused.starts_with("labels: belongs in the body") && refused.ends_with("did you mean left?"), "{refused}");
    let refused = decode(&plan, &["a"], "left=q", json(r#"{"zzz":1}"#));
    assert!(refused.contains("zzz: is not a field") && refused.contains("left: belongs"), "all at once: {refused}");
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
        ("any", "null", r#"{"id":"a","any":null}"#),
        ("sub", "null", r#"{"id":"a"}"#),
        ("sub", "3", "sub: must be an object"),
        ("sub", r#"{"count":"x"}"#, "sub.count: must be a 32-bit integer"),
        ("subs", r#"[{"count":"x"}]"#, "subs[0].count: must be a 32-bit integer"),
    ] {
        let plan = plan("/v1/{id}", field);
        let decoded = decode(&plan, &["a"], "", json(body));
        assert_eq!(decoded, expected, "{field} {body}");
    }
    let on_sub = plan("/v1/{id}", "sub");
    let both = decode(&on_sub, &["a"], "flag=true", json(r#"{"count":1}"#));
    assert_eq!(both, r#"{"id":"a","flag":true,"sub":{"count":1}}"#);
    assert_eq!(decode(&on_sub, &["a"], "sub.count=1", json("{}")), "sub.count: is carried by the body");
    let both = decode(&on_sub, &["a"], "", form("name=n&deep.count=3"));
    assert_eq!(both, r#"{"id":"a","sub":{"name":"n","deep":{"count":3}}}"#);
    assert!(decode(&plan("/v1/{id}", "left"), &["a"], "", form("x=n")).starts_with("left.x: is of a form"));
    let on_member = plan("/v1/{id}", "azure");
    assert!(decode(&on_member, &["a"], "left=x", json("{}")).starts_with("left: cannot be given together with azure"));
    assert_eq!(decode(&on_member, &["a"], "left=x", json("null")), r#"{"id":"a","left":"x"}"#);
    let inside = plan("/v1/{sub.name}", "sub");
    assert_eq!(decode(&inside, &["n"], "", json(r#"{"count":1}"#)), r#"{"sub":{"name":"n","count":1}}"#);
    assert!(decode(&inside, &["n"], "", json(r#"{"name":"m"}"#)).starts_with("sub.name: differs"));
    assert_eq!(decode(&inside, &["n"], "", form("name=n&count=1")), r#"{"sub":{"name":"n","count":1}}"#);
    assert!(decode(&inside, &["n"], "", form("name=m")).starts_with("sub.name: differs"));
}

/// Unbounded, a path of a few kilobytes overflows the stack of whoever reads the message.
#[test]
fn depth_of_paths_is_bounded() {
    let plan = plan("/v1", "*");
    let nested = |depth: usize| format!("sub.{}count=1", "deep.".repeat(depth));
    assert!(decode(&plan, &[], "", form(&nested(63))).starts_with("{\"sub\":"));
    for depth in [64, 100_000] {
        assert!(decode(&plan, &[], "", form(&nested(depth))).ends_with("is nested deeper than 64"), "{depth}");
    }
}

#[test]
fn forms_bind_like_queries() {
    let plan = plan("/v1", "*");
    let decoded = decode(&plan, &[], "", form("id=a+b&tags=x&tags=y&sub.name=n"));
    assert_eq!(decoded, r#"{"id":"a b","tags":["x","y"],"sub":{"name":"n"}}"#);
    assert_eq!(decode(&plan, &[], "", form("zzz=1")), "zzz: is not a field of this request");
    assert!(decode(&plan, &[], "", form(r#"{"id":1}"#)).contains("send content-type: application/json"));
    assert_eq!(decode(&plan, &[], "", Payload::Form(b"id=\xff")), "is no form in UTF-8");
}

#[test]
fn lenient_bindings_merge_and_coerce() {
    let plan = lenient("Get", "*");
    for (query, payload, expected) in [
        ("", json(r#"{"flag":"True","id":7,"i32":"3","zzz":1}"#), r#"{"id":"7","flag":true,"i32":3}"#),
        ("", json(r#"{"flag":1,"sub":{"count":"2","x":0}}"#), r#"{"flag":true,"sub":{"count":2}}"#),
        ("", json(r#"{"color":"color_red","left":false}"#), r#"{"color":"COLOR_RED","left":"false"}"#),
        ("", json(r#"{"tags":[1,"a",true]}"#), r#"{"tags":["1","a","true"]}"#),
        ("", json(r#"{"nombre":"n","cuenta":4}"#), r#"{"id":"n","sub":{"count":4}}"#),
        ("", json(r#"{"nombre":"n","id":"x","sub":{"count":1},"cuenta":4}"#), r#"{"id":"x","sub":{"count":1}}"#),
        ("nombre=n&zzz=1&flag=yes&left=50%", Payload::Empty, r#"{"id":"n","flag":true,"left":"50%"}"#),
        ("nombre=n&id=x", Payload::Empty, r#"{"id":"x"}"#),
        ("id=q&i32=1", json(r#"{"id":"b"}"#), r#"{"id":"b","i32":1}"#),
        (
            "tags=q&sub.count=1&sub.name=q",
            json(r#"{"tags":["b"],"sub":{"name":"b"}}"#),
            r#"{"tags":["b"],"sub":{"name":"b","count":1}}"#,
        ),
        ("time.seconds=1", json(r#"{"time":"1970-01-01T00:00:05Z"}"#), r#"{"time":"1970-01-01T00:00:05Z"}"#),
        ("labels[a]=q", json(r#"{"labels":{"b":"c"}}"#), r#"{"labels":{"b":"c"}}"#),
        ("i32=1&i32=2", form("id=f&flag=False"), r#"{"id":"f","i32":1}"#),
        ("any=x", Payload::Empty, r#"{"any":"x"}"#),
        ("", json(r#"{"flag":"maybe"}"#), "flag: must be true or false"),
        ("", json(r#"{"color":"blue"}"#), "color: must be one of COLOR_UNSPECIFIED, COLOR_RED"),
        ("", json(r#"{"id":[1]}"#), "id: must be a string"),
        ("", json(r#"{"nombre":1,"id":[1]}"#), "id: must be a string"),
        ("", json(r#"{"nombre":1,}"#), "malformed JSON"),
        ("i32=x", Payload::Empty, "i32: must be a 32-bit integer"),
    ] {
        let text = format!("{query} {payload:?}");
        let decoded = decode(&plan, &[], query, payload);
        assert!(decoded.starts_with(expected), "{text}: {decoded}");
    }
}

#[test]
fn any_json_is_a_value() {
    let plan = lenient("Push", "body");
    for (payload, expected) in [
        (json(r#"{"a":[1,null]}"#), r#"{"body":{"a":[1.0,null]}}"#),
        (json("null"), r#"{"body":null}"#),
        (json(r#""text""#), r#"{"body":"text"}"#),
        (form("a=1&b+c=x%21"), r#"{"body":{"#),
        (Payload::Empty, "{}"),
    ] {
        let decoded = decode(&plan, &[], "", payload);
        assert!(decoded.starts_with(expected), "{decoded}");
    }
    assert_eq!(decode(&plan, &[], "queue=q", json("1")), r#"{"queue":"q","body":1.0}"#);
}

#[test]
fn raw_bodies_keep_their_bytes_and_type() {
    let plan = compile("Upload", "/v1/{path=**}", "content", RequestOptions::default()).unwrap();
    assert!(plan.is_raw() && plan.has_body());
    let raw = Payload::Raw { content_type: "image/png", data: &[0, 0xff] };
    assert_eq!(
        decode(&plan, &["a/b"], "", raw),
        r#"{"path":"a/b","content":{"content_type":"image/png","data":"AP8="}}"#
    );
    let mut file = Vec::new();
    assert_eq!(plan.file("data", "", b"x", &mut file), Ok(false));
    assert_eq!(file, [0x12, 3, 0x12, 1, b'x']);
    assert_eq!(plan.file("content_type", "", b"x", &mut file).unwrap_err().description, "takes no file");
    let mut piece = Vec::new();
    plan.piece(b"x", &mut piece);
    assert_eq!(piece, [0x12, 3, 0x12, 1, b'x']);
}

#[test]
fn what_contradicts_itself_is_refused_when_compiled() {
    let refused = |path: &str, aliases: &[(&str, &str)]| {
        let aliases = aliases.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        compile("Get", path, "", RequestOptions { aliases, ..RequestOptions::default() }).unwrap_err().join("; ")
    };
    assert_eq!(refused("/{time}/{time.seconds}", &[]), "path variable {time.seconds}: is given twice");
    assert!(refused("/{left}/{right}", &[]).starts_with("path variable {right}: cannot be given together with left"));
    assert_eq!(refused("/a", &[("x", "nope")]), "alias x -> nope: is not a field of this request");
}

/// Of `p.S.M`.
fn plan_of(schema: &Arc<Schema>, path: &str, body: &str) -> RequestPlan {
    let binding = Binding { http_method: "PUT".into(), path: path.into(), body: body.into(), ..Binding::default() };
    let method = schema.find_method("p.S.M").unwrap();
    let declared = Declared { schema, method, binding, index: 0, file: "".into(), line: 0, required_query: Vec::new() };
    let (table, _) = check(vec![declared], Clashes::Refuse);
    RequestPlan::compile(schema.clone(), &table.rules()[0].value, RequestOptions::default()).unwrap()
}

#[test]
fn required_fields_may_come_from_anywhere() {
    let proto = r#"syntax = "proto2"; package p; service S { rpc M(R) returns (R); }
        message R { required string a = 1; required int32 b = 2; optional Inner c = 3;
          repeated Inner o = 4; }
        message Inner { required string d = 1; optional string e = 2; }"#;
    let schema = Arc::new(fixture::schema(proto));
    let plan = |path: &str, body: &str| plan_of(&schema, path, body);
    let missing = |plan: &RequestPlan, query: &str, payload: Payload<'_>| {
        let violations = plan.decode(&["x"], query, payload, &mut Vec::new()).err().unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
    };
    assert_eq!(missing(&plan("/{a}", ""), "", Payload::Empty), ["b"]);
    assert_eq!(missing(&plan("/{a}", ""), "b=1", Payload::Empty), [""; 0]);
    assert_eq!(missing(&plan("/{a}", ""), "b=1&c.e=x", Payload::Empty), ["c.d"]);
    assert_eq!(missing(&plan("/{a}", "*"), "", json(r#"{"b":1}"#)), [""; 0]);
    assert_eq!(missing(&plan("/{a}", "*"), "", json("{}")), ["b"]);
    assert_eq!(missing(&plan("/{a}", "c"), "b=1", json(r#"{"d":"x"}"#)), [""; 0]);
    assert_eq!(missing(&plan("/{a}", "c"), "b=1", json("{}")), ["c.d"]);
    assert_eq!(missing(&plan("/{c.e}", ""), "a=x&b=1", Payload::Empty), ["c.d"]);
    let parts = |json, form| Payload::Parts { files: &[], json, form };
    assert_eq!(missing(&plan("/{a}", "*"), "", parts(br#"{"c":{"d":"x"}}"#, b"b=1")), [""; 0]);
    assert_eq!(missing(&plan("/{a}", "*"), "", parts(br#"{"c":{}}"#, b"b=1")), ["c.d"]);
    let nested = Payload::Json(br#"{"o":[{}],"b":1}"#);
    assert_eq!(missing(&plan("/{a}", "*"), "", nested), ["o[0].d"]);
}

/// Where values may be given, and values that fit there.
const FIELDS: &[(&str, &[&str])] = &[
    ("id", &["", "a", "b"]),
    ("flag", &["true", "false"]),
    ("i32", &["0", "1"]),
    ("maybe", &["0", "1"]),
    ("color", &["COLOR_RED", "0"]),
    ("data", &["", "AA=="]),
    ("left", &["", "x"]),
    ("right", &["", "x"]),
    ("azure.name", &["", "x"]),
    ("sub.name", &["", "n"]),
    ("sub.deep.count", &["0", "1"]),
    ("text", &["", "x"]),
    ("text.value", &["", "x"]),
    ("time", &["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z"]),
    ("time.seconds", &["0", "1"]),
    ("time.nanos", &["0", "1"]),
    ("wait", &["0s", "1.5s"]),
    ("mask", &["", "a,b"]),
];

fn given() -> impl Strategy<Value = (&'static str, &'static str)> {
    proptest::sample::select(FIELDS).prop_flat_map(|(name, values)| (Just(name), proptest::sample::select(values)))
}

fn get<'m>(message: &'m DynamicMessage, path: &str) -> std::borrow::Cow<'m, Value> {
    match path.split_once('.') {
        None => message.get_field_by_name(path).unwrap(),
        Some((name, rest)) => {
            let inner = message.get_field_by_name(name).unwrap().into_owned();
            std::borrow::Cow::Owned(get(inner.as_message().unwrap(), rest).into_owned())
        }
    }
}

/// An object of these fields, each as a string.
fn object(fields: &[(&str, &str)]) -> serde_json::Value {
    let mut object = serde_json::json!({});
    for (name, value) in fields {
        let place = name.split('.').fold(&mut object, |object, name| &mut object[name]);
        *place = match *value {
            "true" | "false" => (*value == "true").into(),
            value => value.into(),
        };
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Facts 1 and 3 of the peers' failures: whatever query and body say, a field bound by the path has the path's value.
    #[test]
    fn the_path_has_the_last_word(
        variables in proptest::collection::vec(given(), 1..3),
        query in proptest::collection::vec(given(), 0..4),
        body in proptest::collection::vec(given(), 0..3),
        (kind, lenient, target) in (0..3, any::<bool>(), proptest::sample::select(vec!["", "*", "sub", "time", "azure"])),
    ) {
        let path: String = variables.iter().map(|(name, _)| format!("/{{{name}}}")).collect();
        let options = RequestOptions { lenient, ..RequestOptions::default() };
        prop_assume!(variables.iter().all(|(name, _)| *name != target));
        prop_assume!(variables.len() == 1 || variables[0].0 != variables[1].0);
        let Ok(plan) = compile("Get", &path, target, options) else { return Ok(()) };
        let values: Vec<&str> = variables.iter().map(|(_, value)| *value).collect();
        let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| format!("{k}={v}&")).collect::<String>();
        // Paths that contradict each other make no object.
        prop_assume!(body.len() < 2 || body[0].0.split('.').next() != body[1].0.split('.').next());
        let whole = object(&body);
        let (json, form) = match target {
            "sub" | "azure" => (whole[target].to_string(), "name=x&deep.count=1".to_owned()),
            "time" => ("\"1970-01-01T00:00:01Z\"".to_owned(), "seconds=1".to_owned()),
            _ => (whole.to_string(), text(&body)),
        };
        let payload = match kind {
            _ if target.is_empty() => Payload::Empty,
            0 => Payload::Empty,
            1 => Payload::Json(json.as_bytes()),
            _ => Payload::Form(form.as_bytes()),
        };
        let mut alone = Vec::new();
        plan.decode(&values, "", Payload::Empty, &mut alone).unwrap();
        let mut all = Vec::new();
        if plan.decode(&values, &text(&query), payload, &mut all).is_ok() {
            let (alone, all) = (message(&plan, &alone), message(&plan, &all));
            for (name, _) in &variables {
                prop_assert_eq!(get(&all, name), get(&alone, name), "{} in {}", name, all);
            }
        }
    }

    /// No text makes it panic, and what it makes is a message.
    #[test]
    fn any_text_is_either_bound_or_refused(query in "[a-z0-9_.%&=+\\[\\]]{0,40}|\\PC{0,20}", lenient: bool) {
        let plan = compile("Get", "/v1", "", RequestOptions { lenient, ..RequestOptions::default() }).unwrap();
        let mut out = Vec::new();
        if plan.decode::<&str>(&[], &query, Payload::Empty, &mut out).is_ok() {
            message(&plan, &out);
        }
    }
}
