//! A server whose contract has an edition. Compiled by hand: the compiler of the tests knows no editions.

use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    message_type: Vec<Type>,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
    #[prost(string, tag = "12")]
    syntax: String,
    #[prost(int32, tag = "14")]
    edition: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    field: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    r#type: i32,
    #[prost(string, tag = "6")]
    type_name: String,
    #[prost(message, optional, tag = "8")]
    options: Option<FieldOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldOptions {
    #[prost(message, optional, tag = "21")]
    features: Option<Features>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Features {
    #[prost(int32, tag = "1")]
    field_presence: i32,
    #[prost(int32, tag = "5")]
    message_encoding: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input_type: String,
    #[prost(string, tag = "3")]
    output_type: String,
    #[prost(message, optional, tag = "4")]
    options: Option<MethodOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct MethodOptions {
    #[prost(message, optional, tag = "72295728")]
    http: Option<Rule>,
}

#[derive(Clone, PartialEq, Message)]
struct Rule {
    #[prost(string, tag = "2")]
    get: String,
}

const IMPLICIT: Features = Features { field_presence: 2, message_encoding: 0 };
const DELIMITED: Features = Features { field_presence: 0, message_encoding: 2 };

/// A field without a type name is an `int32`.
fn field(number: i32, name: &str, type_name: &str, features: Option<Features>) -> Field {
    Field {
        name: name.into(),
        number,
        label: 1,
        r#type: if type_name.is_empty() { 5 } else { 11 },
        type_name: type_name.into(),
        options: features.map(|features| FieldOptions { features: Some(features) }),
    }
}

fn method(name: &str, output: &str) -> Method {
    Method {
        name: name.into(),
        input_type: ".test.v1.Item".into(),
        output_type: format!(".test.v1.{output}"),
        options: Some(MethodOptions { http: Some(Rule { get: format!("/v1/{name}") }) }),
    }
}

/// The backend sends every message back: `Plain` reads it as if the features of `Item` were not there.
fn set() -> Vec<u8> {
    let message = |name: &str, features: [Option<Features>; 2]| Type {
        name: name.into(),
        field: vec![
            field(1, "implicit", "", features[0]),
            field(2, "explicit", "", None),
            field(3, "sub", ".test.v1.Sub", features[1]),
        ],
    };
    let file = File {
        name: "edition.proto".into(),
        package: "test.v1".into(),
        message_type: vec![
            message("Item", [Some(IMPLICIT), Some(DELIMITED)]),
            message("Plain", [None, None]),
            Type { name: "Sub".into(), field: vec![field(1, "x", "", None)] },
        ],
        service: vec![Service {
            name: "EchoService".into(),
            method: vec![method("Get", "Item"), method("Plain", "Plain")],
        }],
        syntax: "editions".into(),
        edition: 1_000,
    };
    Set { file: vec![file] }.encode_to_vec()
}

#[tokio::test]
async fn presence_and_encoding_are_as_its_features_say() {
    let set = set();
    let builder = Builder::configure().register_encoded_file_descriptor_set(&set).with_service_name(SERVICE);
    let routes = Routes::new(echo()).add_service(builder.build_v1().unwrap());
    let mut reflected = follower(behind_a_socket(routes).await);
    let folder = std::env::temp_dir().join(format!("malla-edition-{}.binpb", std::process::id()));
    std::fs::write(&folder, &set).unwrap();
    let mut filed =
        follower(Upstream { descriptors: vec![folder.clone()], ..upstream(Link::alone("echo", Routes::new(echo()))) });
    for follower in [&mut reflected, &mut filed] {
        follower.read().await.unwrap();
        let edge = &follower.edge;
        let of = async |path: &str| json(send(edge, get(path)).await).await.to_string();
        assert_eq!(of("/v1/Get?implicit=0&explicit=0&sub.x=7").await, r#"{"explicit":0,"sub":{"x":7}}"#);
        assert_eq!(of("/v1/Get?implicit=1").await, r#"{"implicit":1}"#);
        // A group is nothing to whoever expects a length.
        assert_eq!(of("/v1/Plain?explicit=0&sub.x=7").await, r#"{"explicit":0}"#);
    }
    std::fs::remove_file(folder).unwrap();
}
