use std::time::{Duration, Instant};

use prost::Message as _;

use super::*;
use crate::descriptor::{
    DescriptorProto, EnumDescriptorProto, FeatureSet, FieldDescriptorProto, FieldOptions, FileDescriptorProto,
    FileDescriptorSet, FileOptions, OneofDescriptorProto,
};
use crate::fixture::{compile, schema};

fn field<'a>(schema: &'a Schema, message: &str, name: &str) -> &'a Field {
    schema[schema.find_message(message).unwrap()].field(name).unwrap()
}

#[test]
fn presence_and_packing_follow_the_syntax() {
    let three = schema(
        r#"syntax = "proto3"; package t;
           message M { int32 plain = 1; optional int32 maybe = 2; repeated int32 many = 3; M child = 4;
                       repeated int32 apart = 5 [packed = false]; oneof o { string a = 6; M b = 7; } repeated string s = 8; }"#,
    );
    let at = |name| field(&three, "t.M", name);
    assert_eq!(at("plain").cardinality, Cardinality::Implicit);
    assert_eq!(at("maybe").cardinality, Cardinality::Explicit);
    assert_eq!(at("child").cardinality, Cardinality::Explicit);
    assert_eq!(at("a").cardinality, Cardinality::Explicit);
    assert_eq!(at("many").cardinality, Cardinality::Repeated { packed: true });
    assert_eq!(at("apart").cardinality, Cardinality::Repeated { packed: false });
    assert_eq!(at("s").cardinality, Cardinality::Repeated { packed: false });
    assert_eq!((at("a").oneof, at("b").oneof, at("maybe").oneof), (Some(0), Some(0), None));
    assert_eq!(&*three.messages()[0].oneofs, ["o".into()]);
    assert!(at("a").utf8);

    let two = schema(
        r#"syntax = "proto2"; package t; enum E { A = 1; }
           message M { required int32 must = 1; optional int32 plain = 2 [default = 7]; repeated int32 many = 3;
                       optional group Data = 4 { optional string s = 1; } extensions 100 to 200; optional E e = 5; }
           extend M { optional string note = 100; repeated sint64 more = 101 [packed = true]; }"#,
    );
    let at = |name| field(&two, "t.M", name);
    assert_eq!(at("must").cardinality, Cardinality::Required);
    assert_eq!(at("plain").default.as_deref(), Some("7"));
    assert_eq!(at("many").cardinality, Cardinality::Repeated { packed: false });
    assert_eq!(at("[t.more]").cardinality, Cardinality::Repeated { packed: true });
    assert!(at("data").delimited && at("[t.note]").extension && !at("[t.note]").utf8);
    assert!(two.enums()[0].closed && !three.enums().iter().any(|e| e.closed));
}

#[test]
fn fields_are_found_by_both_names_and_by_number() {
    let fields: String = (1..=300).map(|at| format!("int32 some_field_{at} = {};\n", at * 7)).collect();
    let schema = schema(&format!("syntax = \"proto3\"; message M {{ {fields} }} message Empty {{}}"));
    let message = &schema[schema.find_message("M").unwrap()];
    for (at, field) in message.fields.iter().enumerate() {
        assert_eq!(message.position(field.name.as_bytes()), Some(at));
        assert_eq!(message.position(field.json_name.as_bytes()), Some(at));
        assert_eq!(message.position_of(field.number), Some(at));
    }
    assert_eq!(message.position(b"some_field_0"), None);
    assert_eq!(message.position_of(6), None);
    assert_eq!(message.position_of(u32::MAX), None);
    let empty = &schema[schema.find_message("Empty").unwrap()];
    assert_eq!((empty.position(b""), empty.position_of(0)), (None, None));
}

#[test]
fn a_json_name_goes_before_another_fields_proto_name() {
    let schema = schema(
        "syntax = \"proto2\"; message M { optional int32 b = 1 [json_name = \"x\"]; optional int32 a = 2 [json_name = \"b\"]; }",
    );
    assert_eq!(field(&schema, "M", "b").number, 2);
    assert_eq!(field(&schema, "M", "x").number, 1);
}

/// What compilers refuse today, but for those who ask for `deprecated_legacy_json_field_conflicts`.
#[test]
fn of_two_fields_with_one_name_in_json_one_goes_by_its_proto_name() {
    let field = |number, name: &str, json_name: Option<&str>| FieldDescriptorProto {
        name: name.into(),
        json_name: json_name.map(Into::into),
        number,
        r#type: 5,
        ..FieldDescriptorProto::default()
    };
    let fields = [
        field(1, "foo_bar", None),
        field(2, "fooBar", None),
        field(3, "a", Some("x")),
        field(4, "b", Some("x")),
        field(5, "c", Some("foo_bar")),
    ];
    for (fields, expected) in [
        (fields[..4].to_vec(), "1 foo_bar, 2 fooBar, 3 x, 4 b"),
        (vec![fields[1].clone(), fields[4].clone()], "2 fooBar, 5 foo_bar"),
    ] {
        let message = DescriptorProto { name: "M".into(), field: fields, ..DescriptorProto::default() };
        let file =
            FileDescriptorProto { name: "f".into(), message_type: vec![message], ..FileDescriptorProto::default() };
        let schema = Schema::new(&[&set(file)]).unwrap();
        let message = &schema.messages()[0];
        let names = message.fields.iter().map(|field| format!("{} {}", field.number, field.json_name));
        assert_eq!(names.collect::<Vec<_>>().join(", "), expected);
        for (at, field) in message.fields.iter().enumerate() {
            assert_eq!(*field.keys.0, *format!(",\"{}\":", field.json_name));
            assert_eq!(message.position(field.json_name.as_bytes()), Some(at));
        }
    }
}

#[test]
fn well_known_types_are_known_by_name_and_shape() {
    let schema = schema(
        r#"syntax = "proto3"; import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto";
           import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto"; message M {}"#,
    );
    let known = |name| schema[schema.find_message(name).unwrap()].well_known;
    assert_eq!(known("google.protobuf.Value"), Some(WellKnown::Value));
    assert_eq!(known("google.protobuf.Struct"), Some(WellKnown::Struct));
    assert_eq!(known("google.protobuf.Any"), Some(WellKnown::Any));
    assert_eq!(known("google.protobuf.UInt32Value"), Some(WellKnown::Wrapper(Kind::Uint32)));
    assert_eq!(known("M"), None);
    assert!(schema.enums().iter().any(|e| e.null_value));

    let odd = compile(&[(
        "odd.proto",
        "syntax = \"proto3\"; package google.protobuf; message Timestamp { string text = 1; }",
    )]);
    assert_eq!(Schema::new(&[&odd]).unwrap().messages()[0].well_known, None);
}

#[test]
fn methods_bring_their_rule_comment_and_line() {
    let text = r#"syntax = "proto3";
        package t;
        import "google/api/annotations.proto";
        message M {}
        // Looks after things.
        service S {
          // Gets one.
          //
          // And no more.
          rpc Get(M) returns (stream M) {
            option idempotency_level = NO_SIDE_EFFECTS;
            option (google.api.http) = { get: "/v1/m" additional_bindings { custom { kind: "LIST" path: "/v1/l" } } };
          }
        }"#;
    let schema = schema(text);
    let method = schema.find_method("t.S.Get").unwrap();
    assert_eq!((&*method.path, method.server_streaming, method.client_streaming), ("/t.S/Get", true, false));
    assert_eq!(method.idempotency, Idempotency::NoSideEffects);
    let rule = method.http.as_ref().unwrap();
    assert_eq!(rule.pattern, Some(Pattern::Get("/v1/m".into())));
    let custom = CustomHttpPattern { kind: "LIST".into(), path: "/v1/l".into() };
    assert_eq!(rule.additional_bindings[0].pattern, Some(Pattern::Custom(custom)));
    assert_eq!(&*method.source.comment, "Gets one.\n\nAnd no more.");
    assert_eq!((method.source.to_string().as_str(), method.http_line), ("test.proto:10", 12));
    assert_eq!(&*schema.find_service("t.S").unwrap().source.comment, "Looks after things.");
}

#[test]
fn enums_find_the_first_name_of_a_number() {
    let schema = schema(
        "syntax = \"proto3\"; enum E { option allow_alias = true; A = 0; B = 1; C = 1; D = -3; } enum F { G = 0; H = 1; }",
    );
    let values = &schema[schema.find_enum("E").unwrap()];
    assert_eq!(values.value(1).map(|value| &*value.name), Some("B"));
    assert_eq!(values.value(-3).map(|value| &*value.name), Some("D"));
    assert!(values.value(2).is_none() && values.value(i32::MIN).is_none());
    assert_eq!((values.number(b"C"), values.number(b"c")), (Some(1), None));
    let plain = &schema[schema.find_enum("F").unwrap()];
    assert_eq!(plain.value(1).map(|value| &*value.name), Some("H"));
    assert!(plain.value(2).is_none());
}

#[test]
fn the_same_file_in_two_sets_counts_once_and_another_one_is_refused() {
    let one = compile(&[("a.proto", "syntax = \"proto3\"; message A {}")]);
    let same = compile(&[("a.proto", "// More words.\nsyntax = \"proto3\";\n\nmessage A {}")]);
    let other = compile(&[("a.proto", "syntax = \"proto3\"; message A { int32 x = 1; }")]);
    let twice = compile(&[("b.proto", "syntax = \"proto3\"; message A {}")]);
    assert_eq!(Schema::new(&[&one, &same]).unwrap().messages().len(), 1);
    assert!(matches!(Schema::new(&[&one, &other]), Err(SchemaError::FilesDiffer { .. })));
    assert!(matches!(Schema::new(&[&one, &twice]), Err(SchemaError::Duplicate { .. })));
    assert!(matches!(Schema::new(&[b"\xff"]), Err(SchemaError::Unreadable { set: 0, .. })));
}

fn set(file: FileDescriptorProto) -> Vec<u8> {
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

#[test]
fn editions_resolve_features_from_file_to_field() {
    let features = |presence, encoding| FeatureSet {
        field_presence: presence,
        message_encoding: encoding,
        repeated_field_encoding: Some(2),
        ..FeatureSet::default()
    };
    let field = |number, label, r#type, own| FieldDescriptorProto {
        name: format!("f{number}"),
        number,
        label,
        r#type,
        type_name: if r#type == 11 { ".M".into() } else { String::new() },
        options: Some(FieldOptions { features: own, ..FieldOptions::default() }),
        ..FieldDescriptorProto::default()
    };
    let edition = |edition| FileDescriptorProto {
        name: "e.proto".into(),
        syntax: "editions".into(),
        edition,
        options: Some(FileOptions { features: Some(features(Some(2), Some(2))) }),
        message_type: vec![DescriptorProto {
            name: "M".into(),
            field: vec![
                field(1, 1, 5, None),
                field(2, 1, 5, Some(features(Some(1), None))),
                field(3, 1, 5, Some(features(Some(3), None))),
                field(4, 3, 5, None),
                field(5, 1, 11, None),
                field(6, 1, 11, Some(features(None, Some(1)))),
            ],
            ..DescriptorProto::default()
        }],
        enum_type: vec![EnumDescriptorProto { name: "E".into(), ..EnumDescriptorProto::default() }],
        ..FileDescriptorProto::default()
    };
    let schema = Schema::new(&[&set(edition(1000))]).unwrap();
    let cardinalities: Vec<Cardinality> = schema.messages()[0].fields.iter().map(|field| field.cardinality).collect();
    let explicit = Cardinality::Explicit;
    let expanded = Cardinality::Repeated { packed: false };
    assert_eq!(cardinalities, [Cardinality::Implicit, explicit, Cardinality::Required, expanded, explicit, explicit]);
    let delimited: Vec<bool> = schema.messages()[0].fields.iter().map(|field| field.delimited).collect();
    assert_eq!(delimited, [false, false, false, false, true, false]);
    assert!(!schema.enums()[0].closed);
    let error = Schema::new(&[&set(edition(1002))]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "e.proto: edition number 1002 is not known; use proto2, proto3, edition 2023 or 2024"
    );
}

#[test]
fn what_no_compiler_writes_is_refused_by_name() {
    let with = |field: FieldDescriptorProto| {
        let message = DescriptorProto { name: "M".into(), field: vec![field], ..DescriptorProto::default() };
        let file =
            FileDescriptorProto { name: "f".into(), message_type: vec![message], ..FileDescriptorProto::default() };
        Schema::new(&[&set(file)]).unwrap_err().to_string()
    };
    let field = FieldDescriptorProto { name: "a".into(), number: 1, r#type: 5, ..FieldDescriptorProto::default() };
    let zero = FieldDescriptorProto { number: 0, ..field.clone() };
    assert_eq!(with(zero), "f: M.a: its number is not between 1 and 536870911");
    let lost = FieldDescriptorProto { r#type: 11, type_name: ".x.Y".into(), ..field.clone() };
    assert_eq!(with(lost), "f: M.a refers to .x.Y, which is not declared as a message (are imports included?)");
    assert_eq!(with(FieldDescriptorProto { r#type: 77, ..field.clone() }), "f: M.a: its type is not known");
    let alone = FieldDescriptorProto { oneof_index: Some(3), ..field };
    assert_eq!(with(alone), "f: M.a: its oneof is not declared");
}

/// Foreign servers reflect what they like: what they can make up must not cost its square.
#[test]
fn each_of_many_fields_and_oneofs_costs_the_same() {
    const MANY: i32 = 30_000;
    let field = |number| FieldDescriptorProto {
        name: format!("f{number}"),
        json_name: Some("same".into()),
        number,
        r#type: 5,
        ..FieldDescriptorProto::default()
    };
    let oneof = |number| OneofDescriptorProto { name: format!("o{number}"), ..OneofDescriptorProto::default() };
    let message = DescriptorProto {
        name: "M".into(),
        field: (1..=MANY).map(field).collect(),
        oneof_decl: (1..=MANY).map(oneof).collect(),
        ..DescriptorProto::default()
    };
    let file = FileDescriptorProto { message_type: vec![message], ..FileDescriptorProto::default() };
    let (bytes, started) = (set(file), Instant::now());
    let schema = Schema::new(&[&bytes]).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(schema.messages()[0].position(b"same"), Some(0));
}
