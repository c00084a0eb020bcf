use std::collections::{BTreeMap, BTreeSet};

use malla_transcode::schema::Schema;
use malla_transcode::template::Template;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};
use serde_json::{Value, json};

use super::{Access, Api, Binding, Errors, Json, document, yaml};

struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "test.proto" { File::from_source(name, &self.0) } else { Err(protox::Error::file_not_found(name)) }
    }
}

fn schema(text: &str) -> Schema {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(format!("syntax = \"proto3\"; package t; {text}")));
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto").into()));
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true).open_file("test.proto").unwrap();
    Schema::new(&[&compiler.encode_file_descriptor_set()]).unwrap()
}

/// A binding of `t.S`, described by `METHOD /path Rpc [body]`.
struct Bound {
    schema: Schema,
    rules: Vec<(String, Template, String, String)>,
    aliases: BTreeMap<String, String>,
    change: Box<dyn Fn(&mut Binding<'_>)>,
}

fn bound(proto: &str, rules: &[&str]) -> Bound {
    let rule = |rule: &&str| {
        let words: Vec<&str> = rule.split(' ').collect();
        let body = words.get(3).copied().unwrap_or_default();
        (words[0].to_owned(), Template::parse(words[1]).unwrap(), format!("t.S.{}", words[2]), body.to_owned())
    };
    Bound {
        schema: schema(proto),
        rules: rules.iter().map(rule).collect(),
        aliases: BTreeMap::new(),
        change: Box::new(|_| {}),
    }
}

impl Bound {
    fn document(&self) -> Value {
        self.document_of(Json::default(), Errors::default())
    }

    /// Where JSON and errors are usually like that.
    fn document_of(&self, json: Json, errors: Errors) -> Value {
        let bindings = self.rules.iter().map(|(http_method, template, rpc, body)| {
            let mut binding = Binding {
                backend: "b",
                schema: &self.schema,
                method: self.schema.find_method(rpc).unwrap(),
                http_method,
                template,
                body,
                response_body: "",
                required_query: &[],
                lenient: false,
                aliases: &self.aliases,
                access: Access::Anyone,
                success: 200,
                deferrable: false,
                json: Json::default(),
                errors: Errors::default(),
                ignore_unknown_fields: false,
                ignore_unknown_parameters: false,
                json_parameters: false,
            };
            (self.change)(&mut binding);
            binding
        });
        let document = document(&Api { title: "t", version: "1", json, errors, bindings: bindings.collect() });
        all_references_resolve(&document, &document);
        document
    }
}

fn all_references_resolve(document: &Value, within: &Value) {
    match within {
        Value::Object(object) => {
            if let Some(target) = object.get("$ref").and_then(Value::as_str) {
                let target = target.strip_prefix('#').unwrap();
                assert!(document.pointer(target).is_some_and(|target| !target.is_null()), "{target} is not there");
            }
            object.values().for_each(|value| all_references_resolve(document, value));
        }
        Value::Array(array) => array.iter().for_each(|value| all_references_resolve(document, value)),
        _ => {}
    }
}

fn names(parameters: &Value, place: &str) -> BTreeSet<String> {
    let all = parameters.as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == place)
        .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const EVERYTHING: &str = r#"
    import "google/protobuf/any.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
    // Of all kinds.
    //
    // And more.
    service S {
      // Gets one. Always.
      rpc Get(M) returns (M);
      rpc Watch(M) returns (stream Small);
      rpc Put(stream Small) returns (Small);
    }
    enum Color { COLOR_UNSPECIFIED = 0; // The one of roses.
      COLOR_RED = 1; }
    message Small { string a_b = 1; }
    message M {
      // Its name.
      string name = 1; int64 big = 2; uint64 ubig = 3; bytes data = 4; Color color = 5; repeated string tags = 6;
      map<string, int32> labels = 7; map<string, Small> smalls = 8; Small small = 9; repeated Small many = 10; M self = 11;
      oneof pick { string left = 12; int32 right = 13; } double real = 14 [deprecated = true];
      google.protobuf.Timestamp time = 20; google.protobuf.Duration span = 21; google.protobuf.FieldMask mask = 22;
      google.protobuf.Struct any_object = 23; google.protobuf.Value anything = 24; google.protobuf.Any any = 25;
      google.protobuf.Int64Value wrapped = 26;
    }"#;

#[test]
fn what_may_be_any_json_is_a_parameter_where_that_is_taken() {
    let mut bound = bound(EVERYTHING, &["GET /v1/m Get"]);
    let any = ["anyObject", "anything", "any"];
    let usual = bound.document();
    let usual = names(&usual["paths"]["/v1/m"]["get"]["parameters"], "query");
    assert!(any.iter().all(|name| !usual.contains(*name)));
    bound.change = Box::new(|binding| binding.json_parameters = true);
    let document = bound.document();
    let parameters = document["paths"]["/v1/m"]["get"]["parameters"].as_array().unwrap();
    for name in any {
        let found = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
        assert!(found["content"]["application/json"]["schema"].is_object() && found.get("schema").is_none(), "{found}");
    }
    assert_eq!(parameters.iter().filter(|parameter| parameter.get("content").is_some()).count(), any.len());
}

#[test]
fn every_kind_of_field_has_its_json_form() {
    let document = bound(EVERYTHING, &["POST /v1/m Get *"]).document();
    let message = &document["components"]["schemas"]["t.M"];
    assert_eq!(message["additionalProperties"], false);
    let of = |name: &str| message["properties"][name].clone();
    assert_eq!(of("name"), json!({"type": "string", "description": "Its name."}));
    assert_eq!(of("big"), json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}));
    assert_eq!(of("data"), json!({"type": "string", "contentEncoding": "base64"}));
    assert_eq!(of("color"), json!({"$ref": "#/components/schemas/t.Color"}));
    assert_eq!(of("tags"), json!({"type": "array", "items": {"type": "string"}}));
    assert_eq!(of("labels")["additionalProperties"]["format"], "int32");
    assert_eq!(of("smalls")["additionalProperties"], json!({"$ref": "#/components/schemas/t.Small"}));
    assert_eq!(of("self"), json!({"$ref": "#/components/schemas/t.M"}));
    assert_eq!(of("real")["deprecated"], true);
    assert_eq!(of("time"), json!({"type": "string", "format": "date-time"}));
    assert_eq!(of("anyObject"), json!({"type": "object"}));
    assert_eq!(of("anything"), json!({}));
    assert_eq!(of("wrapped"), of("big"));
    let oneof = json!([{"required": ["left"]}, {"required": ["right"]}]);
    assert_eq!(message["allOf"][0]["oneOf"][2]["not"]["anyOf"], oneof);
    let color = &document["components"]["schemas"]["t.Color"];
    assert_eq!(color["enum"], json!(["COLOR_UNSPECIFIED", "COLOR_RED"]));
    assert!(color["description"].as_str().unwrap().contains("`COLOR_RED` (1)"));
}

#[test]
fn what_neither_path_nor_body_binds_is_a_query_parameter() {
    let document = bound(EVERYTHING, &["GET /v1/m/{name} Get", "POST /v1/m/{name} Get small"]).document();
    let get = &document["paths"]["/v1/m/{name}"]["get"];
    assert_eq!(names(&get["parameters"], "path"), set(&["name"]));
    let query = names(&get["parameters"], "query");
    let expected = [
        "big", "ubig", "data", "color", "tags", "labels", "small.aB", "left", "right", "real", "time", "span", "mask",
        "wrapped",
    ];
    assert_eq!(query, set(&expected), "no messages that only JSON can carry, and no end of those that hold themselves");
    let labels = get["parameters"].as_array().unwrap().iter().find(|parameter| parameter["name"] == "labels").unwrap();
    assert_eq!((&labels["style"], &labels["explode"]), (&json!("deepObject"), &json!(true)));
    let post = &document["paths"]["/v1/m/{name}"]["post"];
    assert!(!names(&post["parameters"], "query").contains("small.aB"));
    let body = &post["requestBody"]["content"];
    assert_eq!(body["application/json"]["schema"], json!({"$ref": "#/components/schemas/t.Small"}));
    let form = &body["application/x-www-form-urlencoded"]["schema"];
    assert_eq!(form["properties"], json!({"aB": {"type": "string"}}));
    assert_eq!((&get["summary"], &get["description"]), (&json!("Gets one"), &json!("Gets one. Always.")));
    assert_eq!((&get["operationId"], &post["operationId"]), (&json!("t.S.Get"), &json!("t.S.Get.2")));
    assert_eq!(document["tags"], json!([{"name": "t.S", "description": "Of all kinds.\n\nAnd more."}]));
}

#[test]
fn a_strict_body_is_all_of_the_request_and_a_lenient_one_is_not() {
    let mut bound = bound(EVERYTHING, &["POST /v1/m Get *"]);
    let strict = bound.document();
    let operation = &strict["paths"]["/v1/m"]["post"];
    assert!(names(&operation["parameters"], "query").is_empty());
    assert_eq!(operation["parameters"], json!([{"$ref": "#/components/parameters/IdempotencyKey"}]));
    bound.aliases.insert("nombre".to_owned(), "small.a_b".to_owned());
    bound.change = Box::new(|binding| binding.lenient = true);
    let lenient = bound.document();
    let operation = &lenient["paths"]["/v1/m"]["post"];
    assert!(names(&operation["parameters"], "query").is_superset(&set(&["nombre", "name", "small.aB"])));
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["additionalProperties"], true);
    assert_eq!(body["properties"]["nombre"]["type"], json!(["string", "number", "boolean"]));
    assert_eq!(body["properties"]["self"], json!({"$ref": "#/components/schemas/t.M-lenient"}));
}

#[test]
fn any_json_has_a_form_where_it_is_a_field_of_the_request() {
    let proto = r#"
        import "google/protobuf/struct.proto";
        service S { rpc All(google.protobuf.Value) returns (V); rpc Field(V) returns (V); }
        message V { google.protobuf.Value value = 1; }"#;
    let document = bound(proto, &["POST /v1/all All *", "POST /v1/field Field value"]).document();
    let types = |path: &str| {
        let content = document["paths"][path]["post"]["requestBody"]["content"].as_object().unwrap();
        content.keys().cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(types("/v1/all"), set(&["application/json"]));
    let all = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
    assert_eq!(types("/v1/field"), set(&all));
}

#[test]
fn paths_have_a_parameter_for_each_wildcard() {
    let rules = [
        "GET /v1/{name=shelves/*/books/*}:open Get",
        "GET /v1/files/{name=**} Get",
        "GET /v1/{name=current} Get",
        "GET /v1/*/x Get",
        "GET /v1/shelves/{left} Get",
        "DELETE /v1/{name=shelves/*} Get",
        "LOCK /v1/shelves/{left} Get",
        "* /v1/any/{name} Get",
        "GET /v1/any/{name} Watch",
    ];
    let document = bound(EVERYTHING, &rules).document();
    let paths = document["paths"].as_object().unwrap();
    let expected = [
        "/v1/any/{name}",
        "/v1/current",
        "/v1/files/{name}",
        "/v1/shelves/{left}",
        "/v1/shelves/{name_1}/books/{name_2}:open",
        "/v1/{segment_1}/x",
    ];
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), set(&expected));
    assert_eq!(
        names(&paths["/v1/shelves/{left}"]["delete"]["parameters"], "path"),
        set(&["left"]),
        "one name for both"
    );
    assert_eq!(paths["/v1/files/{name}"]["get"]["parameters"][0]["x-malla-multi-segment"], true);
    assert!(paths["/v1/shelves/{left}"]["x-additionalOperations"]["LOCK"].is_object());
    let any = &paths["/v1/any/{name}"];
    assert_eq!(
        (&any["get"]["x-malla-rpcs"], &any["put"]["operationId"]),
        (&json!(["t.S/Watch"]), &json!("t.S.Get.8.put"))
    );
}

#[test]
fn bindings_that_the_query_tells_apart_are_one_operation() {
    let mut bound = bound(EVERYTHING, &["GET /v1/m Watch", "GET /v1/m Get"]);
    bound.change = Box::new(|binding| {
        if &*binding.method.name == "Get" {
            static NEEDED: std::sync::LazyLock<Vec<String>> =
                std::sync::LazyLock::new(|| vec!["name".to_owned(), "key".to_owned()]);
            binding.required_query = &NEEDED;
            binding.access = Access::User;
        }
    });
    let document = bound.document();
    let get = &document["paths"]["/v1/m"]["get"];
    assert_eq!(get["x-malla-rpcs"], json!(["t.S/Watch", "t.S/Get"]));
    assert_eq!(get["security"], json!([{}, {"user": []}]));
    assert!(get["description"].as_str().unwrap().contains("With the parameters `name`, `key`: Gets one."));
    assert!(
        get["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .all(|parameter| parameter["in"] == "path" || parameter.get("required").is_none())
    );
    assert!(names(&get["parameters"], "query").contains("key"));
    let schemas = &get["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"];
    assert_eq!(schemas.as_array().unwrap().len(), 2);
}

#[test]
fn streams_say_what_their_elements_are() {
    let document = bound(EVERYTHING, &["GET /v1/m Watch", "POST /v1/m Put *"]).document();
    let content = &document["paths"]["/v1/m"]["get"]["responses"]["200"]["content"];
    let items = &content["application/json"]["schema"]["items"]["anyOf"];
    assert_eq!(items[0], json!({"$ref": "#/components/schemas/t.Small"}));
    assert_eq!(items[1]["properties"]["error"], json!({"$ref": "#/components/schemas/google.rpc.Status"}));
    assert_eq!(content["application/x-ndjson"]["x-malla-items"]["anyOf"], *items);
    assert_eq!(content["text/event-stream"]["schema"]["type"], "string");
    let post = &document["paths"]["/v1/m"]["post"];
    assert_eq!(post["requestBody"]["content"]["application/json"]["schema"]["type"], "array");
    assert_eq!(post["x-malla-websocket"], true);
    assert!(post["responses"]["501"].is_object() && post["responses"]["default"].is_object());
}

#[test]
fn messages_of_one_name_that_differ_are_told_apart_by_their_backend() {
    let proto = |fields: &str| format!("service S{{ rpc Get(M) returns (M); }} message M {{ {fields} }}");
    let (one, two) = (schema(&proto("string a = 1;")), schema(&proto("string b = 1;")));
    let templates = ["/a", "/b"].map(|path| Template::parse(path).unwrap());
    let aliases = BTreeMap::new();
    let binding = |backend, schema, template| Binding {
        backend,
        schema,
        method: Schema::find_method(schema, "t.S.Get").unwrap(),
        http_method: "POST",
        template,
        body: "*",
        response_body: "",
        required_query: &[],
        lenient: false,
        aliases: &aliases,
        access: Access::Anyone,
        success: 200,
        deferrable: false,
        json: Json::default(),
        errors: Errors::Problem,
        ignore_unknown_fields: false,
        ignore_unknown_parameters: false,
        json_parameters: false,
    };
    let bindings = vec![binding("one", &one, &templates[0]), binding("two", &two, &templates[1])];
    let api = Api { title: "t", version: "1", json: Json::default(), errors: Errors::Problem, bindings };
    let document = document(&api);
    all_references_resolve(&document, &document);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas["t.M"]["properties"]["a"].is_object() && schemas["two.t.M"]["properties"]["b"].is_object());
    let problem = &document["components"]["responses"]["400"]["content"];
    let error = json!({"$ref": "#/components/schemas/Error"});
    assert_eq!(problem["application/problem+json"]["schema"], error);
}

/// What a route may write in another form: nothing of `P`, names of `N`, values of `C`, both of `M`.
const FORMS: &str = r#"
    service S { rpc Get(M) returns (M); rpc Watch(M) returns (stream P); }
    enum Color { COLOR_UNSPECIFIED = 0; }
    message P { string a = 1; P self = 2; }
    message N { string a_b = 1; N self = 2; }
    message C { Color color = 1; }
    message M { P p = 1; N n = 2; C c = 3; Color color = 4; oneof pick { string left_one = 5; string right_one = 6; } }"#;

const PROTO: Json = Json { proto_names: true, enum_numbers: false, emit_defaults: false };
const NUMBERS: Json = Json { proto_names: false, enum_numbers: true, emit_defaults: false };

#[test]
fn what_a_binding_writes_otherwise_has_components_of_its_own() {
    type Case = (fn(&mut Binding<'_>), &'static [&'static str]);
    let cases: [Case; 6] = [
        (|_| {}, &[]),
        (|binding| binding.json = PROTO, &["t.M-proto", "t.N-proto"]),
        (|binding| binding.json = NUMBERS, &["t.M-numbers", "t.C-numbers", "t.Color-numbers"]),
        (
            |binding| binding.json = Json { proto_names: true, ..NUMBERS },
            &["t.M-proto-numbers", "t.N-proto", "t.C-numbers", "t.Color-numbers"],
        ),
        (|binding| binding.ignore_unknown_fields = true, &["t.M-open", "t.P-open", "t.N-open", "t.C-open"]),
        (
            |binding| (binding.lenient, binding.json) = (true, PROTO),
            &["t.M-proto", "t.N-proto", "t.M-proto-lenient", "t.P-lenient", "t.N-proto-lenient", "t.C-lenient"],
        ),
    ];
    for (change, expected) in cases {
        let mut bound = bound(FORMS, &["POST /v1/m Get *", "PUT /v1/m Get *"]);
        bound.change = Box::new(move |binding| {
            if binding.http_method == "POST" {
                change(binding)
            }
        });
        let document = bound.document();
        let known: BTreeSet<String> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        let usual = set(&["google.rpc.Status", "t.M", "t.P", "t.N", "t.C", "t.Color"]);
        assert_eq!(known.difference(&usual).cloned().collect::<BTreeSet<_>>(), set(expected));
        let body = &document["paths"]["/v1/m"]["put"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(*body, json!({"$ref": "#/components/schemas/t.M"}), "the other one is as usual");
    }
}

#[test]
fn a_bindings_names_numbers_and_defaults_are_told_where_they_stand() {
    let mut bound = bound(FORMS, &["GET /v1/m Get", "POST /v1/m Get *"]);
    bound.change = Box::new(|binding| {
        binding.json = Json { emit_defaults: true, proto_names: true, enum_numbers: true };
        binding.ignore_unknown_fields = true;
        binding.ignore_unknown_parameters = true;
    });
    let document = bound.document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["t.Color-numbers"]["type"], "integer");
    let (answer, body) = (&schemas["t.M-proto-numbers"], &schemas["t.M-proto-numbers-open"]);
    assert_eq!((&answer["additionalProperties"], &body["additionalProperties"]), (&json!(false), &json!(true)));
    assert_eq!(answer["allOf"][0]["oneOf"][0], json!({"required": ["left_one"]}));
    let [get, post] = ["get", "post"].map(|method| &document["paths"]["/v1/m"][method]);
    let expected = set(&["p.a", "n.a_b", "c.color", "color", "left_one", "right_one"]);
    assert_eq!(names(&get["parameters"], "query"), expected);
    assert_eq!(get["x-malla-unknown-query"], "ignore");
    let form = &post["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    assert_eq!(form["additionalProperties"], true);
    let about = post["responses"]["200"]["description"].as_str().unwrap();
    assert_eq!(about, "Success. Fields with their default value are written too.");

    bound.change = Box::new(|_| {});
    let usual = bound.document_of(PROTO, Errors::Status);
    assert!(usual["components"]["schemas"]["t.M-camel"]["properties"]["leftOne"].is_object());
    assert!(usual["paths"]["/v1/m"]["get"].get("x-malla-unknown-query").is_none());
    let usual = bound.document_of(NUMBERS, Errors::Status);
    assert_eq!(usual["components"]["schemas"]["t.Color-names"]["type"], "string");
}

#[test]
fn each_binding_refers_to_errors_in_its_own_style() {
    const STATUS: &str = "#/components/schemas/google.rpc.Status";
    for (usual, own, suffix, media_type, schema) in [
        (Errors::Status, Errors::Status, "", "application/json", STATUS),
        (Errors::Status, Errors::Problem, "-problem", "application/problem+json", "#/components/schemas/Error-problem"),
        (Errors::Problem, Errors::Problem, "", "application/problem+json", "#/components/schemas/Error"),
        (Errors::Problem, Errors::Status, "-status", "application/json", STATUS),
    ] {
        let mut bound = bound(FORMS, &["GET /v1/m Get", "GET /v1/p Watch"]);
        bound.change = Box::new(move |binding| binding.errors = own);
        let document = bound.document_of(Json::default(), usual);
        let responses = &document["paths"]["/v1/m"]["get"]["responses"];
        assert_eq!(responses["404"]["$ref"], format!("#/components/responses/404{suffix}"));
        assert_eq!(responses["414"]["$ref"], "#/components/responses/414", "from before there is a route");
        let error = &document["components"]["responses"][format!("404{suffix}")]["content"][media_type]["schema"];
        assert_eq!(error["$ref"], schema);
        let stream = &document["paths"]["/v1/p"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(stream["items"]["anyOf"][1]["properties"]["error"]["$ref"], schema);
    }
    let mut bound = bound(FORMS, &["GET /v1/m Get"]);
    bound.change = Box::new(|binding| binding.errors = Errors::Aip193);
    let document = bound.document();
    let error = &document["components"]["responses"]["404-aip193"]["content"]["application/json"]["schema"];
    assert_eq!(error["properties"]["error"]["$ref"], "#/components/schemas/Error-aip193");
}

#[test]
fn bindings_of_one_operation_may_differ_in_all_of_it() {
    let mut bound = bound(FORMS, &["GET /v1/{p.a} Get", "GET /v1/{p.a=**} Get"]);
    bound.change = Box::new(|binding| {
        if binding.template.text == "/v1/{p.a=**}" {
            (binding.json, binding.errors) = (PROTO, Errors::Problem);
        } else {
            binding.ignore_unknown_parameters = true;
        }
    });
    let document = bound.document();
    let get = &document["paths"]["/v1/{p.a}"]["get"];
    let choice = json!([{"$ref": "#/components/schemas/t.M"}, {"$ref": "#/components/schemas/t.M-proto"}]);
    assert_eq!(get["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"], choice);
    let errors = get["responses"]["404"]["content"].as_object().unwrap();
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["application/json", "application/problem+json"]);
    assert_eq!(get["responses"]["414"], json!({"$ref": "#/components/responses/414"}));
    assert!(names(&get["parameters"], "query").is_superset(&set(&["leftOne", "left_one"])));
    assert!(get.get("x-malla-unknown-query").is_none(), "not all of its paths take them");
}

#[test]
fn the_same_api_is_the_same_text() {
    let text = |()| {
        serde_json::to_string(&bound(EVERYTHING, &["GET /v1/m/{name} Get", "POST /v1/m Get *"]).document()).unwrap()
    };
    assert_eq!(text(()), text(()));
}

#[test]
fn yaml_quotes_what_it_would_misread() {
    let value =
        json!({"a": [1, {"b": "no"}, [], "x: y\n\"é\""], "200": {}, "$ref": "#/x", "/v1/a": "plain", "n": null});
    let expected = "\"$ref\": \"#/x\"\n/v1/a: plain\n\"200\": {}\na:\n  - 1\n  -\n    b: \"no\"\n  - []\n  - \"x: y\\n\\\"é\\\"\"\n\"n\": null\n";
    assert_eq!(yaml(&value), expected);
}
