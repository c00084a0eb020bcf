use super::*;
use crate::fixture;
use crate::rule::{Config, declare};

mod reach;

const HEAD: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Color { RED = 0; }
message Sub { string id = 1; repeated Sub subs = 2; Sub sub = 3; int32 count = 4; }
message Req {
  string id = 1;
  repeated string tags = 2;
  Sub sub = 3;
  map<string, string> labels = 4;
  Color color = 5;
  bytes raw = 6;
  google.protobuf.Timestamp at = 7;
  google.protobuf.Int64Value size = 8;
  google.protobuf.Struct extra = 9;
  oneof way { string here = 10; int32 there = 11; }
  string page_token = 12;
}
"#;

/// The findings for methods `M0`, `M1`, .. with these rules.
fn findings(rules: &[&str], clashes: Clashes) -> Vec<String> {
    let mut proto = format!("{HEAD}service S {{\n");
    for (at, rule) in rules.iter().enumerate() {
        proto += &format!("rpc M{at}(Req) returns (Req) {{ option (google.api.http) = {{ {rule} }}; }}\n");
    }
    found(&(proto + "}"), clashes)
}

fn found(proto: &str, clashes: Clashes) -> Vec<String> {
    let schema = fixture::schema(proto);
    let methods: Vec<_> =
        schema.services().iter().flat_map(|service| &service.methods).map(|method| (&schema, method)).collect();
    let (declared, mut findings) = declare(&methods, &Config::default(), false);
    let (_, more) = check(declared, clashes);
    findings.extend(more);
    findings.iter().map(ToString::to_string).collect()
}

/// What is said of one rule, without place and binding.
fn said(rule: &str) -> String {
    let found = findings(&[rule], Clashes::Refuse);
    let text = |line: &String| {
        let (_, line) = line.split_once(": ").unwrap();
        let (code, rest) = line.split_once(": t.S.M0: \"").unwrap();
        format!("{code}: {}", rest.split_once("\": ").unwrap().1)
    };
    found.iter().map(text).collect::<Vec<_>>().join(" | ")
}

#[test]
fn right_rules_find_nothing() {
    for rule in [
        r#"get: "/a/{id}""#,
        r#"get: "/a/{sub.id}/{sub.sub.count}/{color}/{raw}/{at}/{size}/{here}""#,
        r#"patch: "/a/{sub.id=x/**}" body: "sub""#,
        r#"post: "/a" body: "*" response_body: "tags""#,
        r#"post: "/a" body: "labels" response_body: "sub""#,
        r#"custom { kind: "*" path: "/a/{id}:go" } body: "tags""#,
    ] {
        assert_eq!(said(rule), "", "{rule}");
    }
}

/// Items 9 to 14, and AIP-127 with the last.
#[test]
fn wrong_rules_are_told_with_what_to_do() {
    for (rule, expected) in [
        (r#"get: "/a/{x""#, r#"error[bad-template]: expected '}' at column 6 of "/a/{x""#),
        (r#"get: "/a/{idd}""#, r#"error[unknown-field]: {idd}: t.Req has no field "idd"; did you mean "id"?"#),
        (
            r#"get: "/a/{pageToken}""#,
            r#"error[unknown-field]: {pageToken}: t.Req has no field "pageToken"; did you mean "page_token"?"#,
        ),
        (r#"get: "/a/{sub.xyzzy}""#, r#"error[unknown-field]: {sub.xyzzy}: t.Sub has no field "xyzzy""#),
        (r#"get: "/a/{tags}""#, r#"error[repeated-variable]: {tags}: "tags" may have several values"#),
        (r#"get: "/a/{labels}""#, r#"error[repeated-variable]: {labels}: "labels" may have several values"#),
        (r#"get: "/a/{sub.subs.id}""#, r#"error[repeated-variable]: {sub.subs.id}: "subs" may have several values"#),
        (r#"get: "/a/{sub}""#, r#"error[message-variable]: {sub}: "sub" is the message t.Sub, not one value"#),
        (
            r#"get: "/a/{extra}""#,
            r#"error[message-variable]: {extra}: "extra" is the message google.protobuf.Struct, not one value"#,
        ),
        (r#"get: "/a/{id.x}""#, r#"error[not-a-message]: {id.x}: "id" is not a message"#),
        (r#"post: "/a" body: "subb""#, r#"error[unknown-body]: body: t.Req has no field "subb"; did you mean "sub"?"#),
        (
            r#"post: "/a" body: "sub.id""#,
            r#"error[dotted-body]: body "sub.id" is the field of a field; only a field of t.Req itself can be the body"#,
        ),
        (
            r#"get: "/a" response_body: "sub.id""#,
            "error[dotted-body]: response_body \"sub.id\" is the field of a field; only a field of t.Req itself can be the \
             response_body",
        ),
        (r#"get: "/a" response_body: "xyzzy""#, r#"error[unknown-body]: response_body: t.Req has no field "xyzzy""#),
        (
            r#"get: "/a" response_body: "*""#,
            r#"error[star-response-body]: response_body cannot be "*"; leave it out: the whole message is the default"#,
        ),
        (r#"post: "/a/{id}" body: "id""#, "error[variable-is-body]: {id} is also the body"),
        (r#"get: "/a" body: "*""#, "warning[unusual-body]: a GET request has a body; some proxies and clients drop it"),
        (
            r#"get: "/a" additional_bindings { post: "/b" body: "*" } additional_bindings { post: "/c" body: "sub" }"#,
            "warning[body-differs]: its body is *, that of its method's first binding none; AIP-127 wants one body for all of \
             them: make them the same, or give it a method of its own | \
             warning[body-differs]: its body is sub, that of its method's first binding none; AIP-127 wants one body for all \
             of them: make them the same, or give it a method of its own",
        ),
        (r#"put: "/a" body: "sub" additional_bindings { patch: "/a" body: "sub" }"#, ""),
        (r#"custom { kind: "A B" path: "/a" }"#, r#"error[bad-method]: "A B" is no HTTP method"#),
        (r#"custom { path: "/a" }"#, r#"error[bad-method]: "" is no HTTP method"#),
    ] {
        assert_eq!(said(rule), expected, "{rule}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let found = findings(
        &[r#"get: "/a/{x}/{tags}" body: "q" response_body: "*""#, r#"get: "b" additional_bindings { get: "/c" }"#],
        Clashes::Refuse,
    );
    let codes: Vec<_> = found.iter().map(|line| line.split(['[', ']']).nth(1).unwrap()).collect();
    let expected =
        ["unknown-field", "repeated-variable", "unusual-body", "unknown-body", "star-response-body", "bad-template"];
    assert_eq!(codes, expected);
    assert!(
        found[0].starts_with("test.proto:26: error[unknown-field]: t.S.M0: \"GET /a/{x}/{tags}\": "),
        "{}",
        found[0]
    );
}

#[test]
fn groups_are_refused() {
    let found = found(
        r#"syntax = "proto2"; package t; import "google/api/annotations.proto";
message Req { optional group Nest = 1 { optional string id = 1; } }
service S {
  rpc A(Req) returns (Req) { option (google.api.http) = { get: "/a/{nest.id}" }; }
  rpc B(Req) returns (Req) { option (google.api.http) = { post: "/b" body: "nest" }; }
}"#,
        Clashes::Refuse,
    );
    assert_eq!(
        found,
        [
            "test.proto:4: error[group]: t.S.A: \"GET /a/{nest.id}\": {nest.id}: \"nest\" is a group",
            "test.proto:5: error[group]: t.S.B: \"POST /b\": body \"nest\" is a group",
        ]
    );
}

#[test]
fn names_that_two_fields_have_in_json_are_told_once() {
    let mut set = fixture::compile(&[(
        "test.proto",
        r#"syntax = "proto2"; package t; import "google/api/annotations.proto";
message Req { optional string id = 1; repeated Inner inner = 2; }
message Inner { optional Req up = 1;
  optional string foo_bar = 2;
  optional string fooBaz = 3; }
service S {
  rpc A(Req) returns (Req) { option (google.api.http) = { post: "/a" body: "*" }; }
  rpc B(Req) returns (Req) { option (google.api.http) = { post: "/b" body: "*" }; }
}"#,
    )]);
    // The compiler refuses it.
    while let Some(at) = set.windows(6).position(|bytes| bytes == b"fooBaz") {
        set[at + 5] = b'r';
    }
    let schema = Schema::new(&[&set]).unwrap();
    let methods: Vec<_> = schema.services()[0].methods.iter().map(|method| (&schema, method)).collect();
    let (declared, _) = declare(&methods, &Config::default(), false);
    let (_, findings) = check(declared, Clashes::Refuse);
    let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "test.proto:4: warning[json-name]: t.S.A: \"POST /a\": t.Inner.foo_bar has a name in JSON that another field has, \
          so there it is foo_bar; give it a json_name of its own"
        ]
    );
}

#[test]
fn fields_without_a_place_are_told() {
    let proto = r#"syntax = "proto3"; package t;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
message Sub { string id = 1; }
message Req {
  repeated Sub subs = 1;
  map<string, Sub> by_name = 2;
  map<string, int32> counts = 3;
  google.protobuf.Any any = 4;
  repeated google.protobuf.Timestamp times = 5;
  repeated Sub made = 6 [(google.api.field_behavior) = OUTPUT_ONLY];
  Sub one = 7;
}
service S {
  rpc A(Req) returns (Req) { option (google.api.http) = { get: "/a/{one.id}" }; }
  rpc B(Req) returns (Req) { option (google.api.http) = { post: "/b" body: "*" }; }
  rpc C(Req) returns (Req) { option (google.api.http) = { post: "/c" body: "subs" }; }
  rpc D(stream Req) returns (Req) { option (google.api.http) = { post: "/d" }; }
}"#;
    let found = found(proto, Clashes::Refuse);
    let told: Vec<_> =
        found.iter().map(|line| line.split('"').nth(1).unwrap().to_owned() + line.split('"').nth(3).unwrap()).collect();
    assert_eq!(
        told,
        ["GET /a/{one.id}subs", "GET /a/{one.id}by_name", "GET /a/{one.id}any", "POST /cby_name", "POST /cany"]
    );
}

/// D15 and the opt-ins of item 21.
#[test]
fn clashes_name_both_sides() {
    let rules = [r#"get: "/a/{id}""#, r#"get: "/a/{here}""#];
    assert_eq!(
        findings(&rules, Clashes::Refuse),
        ["test.proto:27: error[clash]: t.S.M1: \"GET /a/{here}\": is the same route as \"GET /a/{id}\" of t.S.M0 \
          (test.proto:26); change one of the paths, or allow one to win"]
    );
    assert_eq!(
        findings(&rules, Clashes::Last),
        [
            "test.proto:26: warning[clash]: t.S.M0: \"GET /a/{id}\": gives way to the same route \"GET /a/{here}\" of t.S.M1 \
          (test.proto:27); change one of the paths, or allow one to win"
        ]
    );
    assert!(findings(&rules, Clashes::First)[0].starts_with("test.proto:27: warning[clash]: t.S.M1"));
}

#[test]
fn findings_are_written_for_machines_too() {
    let schema = fixture::schema(&format!(
        "{HEAD}service S {{ rpc A(Req) returns (Req) {{ option (google.api.http) = {{ get: \"/a/{{no}}\" }}; }} }}"
    ));
    let (declared, _) = declare(&[(&schema, schema.find_method("t.S.A").unwrap())], &Config::default(), false);
    let (table, findings) = check(declared, Clashes::Refuse);
    assert!(table.rules().is_empty());
    assert_eq!(
        serde_json::to_string(&findings).unwrap(),
        r#"[{"severity":"error","code":"unknown-field","file":"test.proto","line":25,"method":"t.S.A","binding":"GET /a/{no}","message":"{no}: t.Req has no field \"no\"","help":""}]"#
    );
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
}

#[test]
fn what_is_right_is_resolved_to_fields() {
    let schema = fixture::schema(&format!(
        "{HEAD}service S {{ rpc A(Req) returns (Req) {{ option (google.api.http) = \
         {{ post: \"/a/{{sub.count}}/{{id}}\" body: \"at\" response_body: \"color\" }}; }} }}"
    ));
    let (declared, _) = declare(&[(&schema, schema.find_method("t.S.A").unwrap())], &Config::default(), false);
    let (table, findings) = check(declared, Clashes::Refuse);
    assert_eq!(findings, []);
    let route = &table.rules()[0].value;
    assert_eq!(
        (&route.variables, route.body, route.response_body),
        (&vec![vec![2, 3], vec![0]], Body::Field(6), Some(4))
    );
}
