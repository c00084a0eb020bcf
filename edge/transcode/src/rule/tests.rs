use super::*;
use crate::fixture;
use crate::percent::Keep;

const PROTO: &str = r#"
syntax = "proto3";
package shop;
import "google/api/annotations.proto";
message M { string id = 1; }
service Items {
  rpc Get(M) returns (M) {
    option (google.api.http) = {
      get: "/v1/items/{id}"
      additional_bindings { custom { kind: "PURGE" path: "/v1/items/{id}" } response_body: "id" }
    };
  }
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/v1/items/{id}" body: "*" }; }
  rpc Bare(M) returns (M);
  rpc Odd(M) returns (M) {
    option (google.api.http) = {
      selector: "ignored"
      additional_bindings { get: "/odd" additional_bindings { get: "/deep" } }
    };
  }
}
"#;

/// `method: binding body response_body at file:line`, and the findings.
fn declared(config: &Config, auto: bool) -> (Vec<String>, Vec<String>) {
    let schema = fixture::schema(PROTO);
    let methods: Vec<_> =
        schema.services().iter().flat_map(|service| &service.methods).map(|method| (&schema, method)).collect();
    let (declared, findings) = declare(&methods, config, auto);
    let text = |one: Declared<'_>| {
        let Binding { body, response_body, .. } = &one.binding;
        format!(
            "{}.{}: {} [{body}] [{response_body}] {}:{}",
            one.method.name, one.index, one.binding, one.file, one.line
        )
    };
    (declared.into_iter().map(text).collect(), findings.iter().map(ToString::to_string).collect())
}

fn config(text: &str) -> Config {
    let mut config = Config::default();
    config.read("shop.yaml", text).unwrap();
    config
}

#[test]
fn annotations_with_their_additional_bindings() {
    let (declared, findings) = declared(&Config::default(), false);
    assert_eq!(
        declared,
        [
            "Get.0: GET /v1/items/{id} [] [] test.proto:8",
            "Get.1: PURGE /v1/items/{id} [] [id] test.proto:8",
            "Put.0: PUT /v1/items/{id} [*] [] test.proto:13",
            "Odd.1: GET /odd [] [] test.proto:16",
        ]
    );
    assert_eq!(
        findings,
        [
            "test.proto:16: warning[no-pattern]: shop.Items.Odd: its google.api.http rule has no HTTP method and path, so it \
             binds nothing",
            "test.proto:16: error[nested-bindings]: shop.Items.Odd: \"GET /odd\": an additional binding has \
             additional_bindings of its own, which do not count; move them one level up",
        ]
    );
}

/// Item 90.
#[test]
fn methods_without_a_rule_get_one_if_asked() {
    let (declared, _) = declared(&Config::default(), true);
    assert!(declared.contains(&"Bare.0: POST /shop.Items/Bare [*] [] test.proto:14".to_owned()), "{declared:?}");
}

/// Item 16: the whole annotation, and the last rule of several.
#[test]
fn configuration_takes_the_annotations_place() {
    let config = config(
        r#"
type: google.api.Service
config_version: 3
apis: [{name: shop.Items}]
http:
  rules:
  - selector: shop.Items.*
    post: /first
  - selector: shop.Items.Get
    custom: {kind: "*", path: '/v2/{id}'}
    body: id
    additional_bindings:
    - get: /v2/short/{id}
      response_body: id
  - selector: shop.Items.Odd
  - selector: shop.Items.Pit
    get: /pit
"#,
    );
    let (declared, findings) = declared(&config, true);
    assert_eq!(
        declared,
        [
            "Get.0: * /v2/{id} [id] [] shop.yaml:9",
            "Get.1: GET /v2/short/{id} [] [id] shop.yaml:9",
            "Put.0: POST /first [] [] shop.yaml:7",
            "Bare.0: POST /first [] [] shop.yaml:7",
        ]
    );
    assert_eq!(
        findings,
        [
            "shop.yaml:9: warning[body-differs]: shop.Items.Get: \"GET /v2/short/{id}\": its body is none, that of its \
             method's first binding id; AIP-127 wants one body for all of them: make them the same, or give it a method of \
             its own",
            "shop.yaml:16: error[unknown-selector]: shop.Items.Pit: \"GET /pit\": its selector matches no method; did you \
          mean \"shop.Items.Put\"?"
        ]
    );
}

#[test]
fn configuration_may_be_json_and_come_in_parts() {
    let mut config = config("http:\n  fully_decode_reserved_expansion: true\n  rules: [{selector: '*', get: /a}]");
    assert_eq!(config.keep, Some(Keep::Slash));
    let json = "{\"http\": {\n\t\"rules\": [\n\t\t{\"selector\": \"shop.Items.Put\", \"put\": \"/b\", \"responseBody\": \"id\"}]}}";
    config.read("more.json", json).unwrap();
    assert_eq!(config.keep, Some(Keep::Slash));
    config.read("last.yaml", "http: {fullyDecodeReservedExpansion: false}").unwrap();
    assert_eq!(config.keep, Some(Keep::Reserved));
    config.read("none.yaml", "title: nothing of http").unwrap();
    config.read("empty.yaml", "http:\n  rules:\n").unwrap();
    let (declared, _) = declared(&config, false);
    assert_eq!(declared[1], "Put.0: PUT /b [] [id] more.json:3");
    assert_eq!(declared.len(), 4);
}

#[test]
fn wrong_configurations_are_refused_with_their_place() {
    for (text, expected) in [
        ("http: {rules: [{selector: a.B, get: /a, put: /b}]}", "s.yaml: line 1: a rule has one of get, put"),
        ("http:\n  rules:\n  - selector: a.*.B\n    get: /a", "s.yaml: line 3: \"a.*.B\": a selector names a method"),
        ("http: {rules: [{selector: 'a.b*', get: /a}]}", "s.yaml: line 1: \"a.b*\": a selector"),
        ("http:\n  rules:\n  - get: /a", "s.yaml: line 3: \"\": a selector"),
        ("http: {rules: [{selector: a.B, gett: /a}]}", "unknown field"),
        ("http: {rules: [{selector: a.B, get: /a, get: /b}]}", "duplicate mapping key `get` is not allowed here"),
        ("http: [", "s.yaml: "),
        ("&a [*a, *a]", "s.yaml: "),
    ] {
        let error = Config::default().read("s.yaml", text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let long = Config::default().read("s.yaml", &" ".repeat(CONFIG_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(long.to_string(), "s.yaml: it has 4194305 bytes; 4194304 are read at most");
}

/// Aliases that double on each line would be 2^30 rules.
#[test]
fn configuration_cannot_grow_while_it_is_read() {
    let mut text = "a0: &a0 [{selector: '*', get: /a}]\n".to_owned();
    for at in 1..30 {
        text += &format!("a{at}: &a{at} [*a{}, *a{}]\n", at - 1, at - 1);
    }
    text += "http: {rules: *a29}\n";
    assert!(Config::default().read("s.yaml", &text).is_err());
}
