use futures_util::stream;
use http::uri::PathAndQuery;
use malla_runtime::codec::BytesCodec;
use malla_runtime::shutdown::Shutdown;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{FileDescriptorSet, FileOptions, MethodDescriptorProto, ServiceDescriptorProto};
use tokio::net::TcpListener;
use tonic::client::Grpc;
use tonic::service::Routes;
use tonic::transport::Endpoint;

use super::*;
use crate::{Edge, accept};

/// `service.proto` with a service of one method, which imports `common.proto`; every backend has files of these names.
fn files(package: &str, service: &str, field: &str) -> Bytes {
    let field = FieldDescriptorProto {
        name: Some(field.into()),
        number: Some(1),
        r#type: Some(Type::String.into()),
        label: Some(Label::Optional.into()),
        ..FieldDescriptorProto::default()
    };
    let message = DescriptorProto { name: Some("Shared".into()), field: vec![field], ..DescriptorProto::default() };
    let common = FileDescriptorProto {
        name: Some("common.proto".into()),
        package: Some("common".into()),
        message_type: vec![message],
        ..FileDescriptorProto::default()
    };
    let method = MethodDescriptorProto {
        name: Some("Do".into()),
        input_type: Some(".common.Shared".into()),
        output_type: Some(".common.Shared".into()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto { name: Some(service.into()), method: vec![method], options: None };
    let service = FileDescriptorProto {
        name: Some("service.proto".into()),
        package: Some(package.into()),
        dependency: vec!["common.proto".into()],
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![service, common] }.encode_to_vec().into()
}

/// An answer in a line: of files their names and what tells them from others of that name.
fn told(answer: Bytes) -> String {
    match ServerReflectionResponse::decode(answer).unwrap().message_response.unwrap() {
        MessageResponse::FileDescriptorResponse(files) => {
            let files = files.file_descriptor_proto.into_iter().map(|file| {
                let file = FileDescriptorProto::decode(&*file).unwrap();
                let service = file.service.first().map(|service| service.name().to_owned());
                let field = || file.message_type[0].field[0].name().to_owned();
                format!("{} {}", file.name(), service.unwrap_or_else(field))
            });
            files.collect::<Vec<_>>().join(", ")
        }
        MessageResponse::ListServicesResponse(list) => {
            list.service.into_iter().map(|service| service.name).collect::<Vec<_>>().join(" ")
        }
        MessageResponse::AllExtensionNumbersResponse(none) => none.base_type_name,
        MessageResponse::ErrorResponse(error) => format!("error {}", error.error_code),
    }
}

#[tokio::test]
async fn backends_with_files_of_the_same_names_are_told_each_from_its_own() {
    let backend = |name: &str, service: &str, set| Backend::local(name, [service], set, Routes::default());
    let edge = Edge::builder().backend(backend("a", "a.v1.A", files("a.v1", "A", "of_a"))).backend(backend(
        "b",
        "b.v1.B",
        files("b.v1", "B", "of_b"),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(accept::serve(edge.build().unwrap(), listener, Shutdown::default()));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();

    let symbol = |name: &str| Some(MessageRequest::FileContainingSymbol(name.into()));
    let file = |name: &str| Some(MessageRequest::FileByFilename(name.into()));
    let [a, b] = ["service.proto A, common.proto of_a", "service.proto B, common.proto of_b"];
    let services = "a.v1.A b.v1.B grpc.health.v1.Health grpc.reflection.v1.ServerReflection \
                    grpc.reflection.v1alpha.ServerReflection";
    let rows = [
        (Some(MessageRequest::ListServices(String::new())), services),
        (symbol("b.v1.B"), b),
        (file("common.proto"), "common.proto of_b"),
        (file("service.proto"), b),
        (symbol("common.Shared"), "common.proto of_b"),
        (symbol("a.v1.A.Do"), a),
        (file("common.proto"), "common.proto of_a"),
        (symbol("common.Shared.of_b"), "common.proto of_b"),
        (symbol("b.v1.B.Nope"), "error 5"),
        (symbol("b.v1"), "error 5"),
        (file("nope.proto"), "error 5"),
        (None, "error 3"),
        (Some(MessageRequest::AllExtensionNumbersOfType("a.v1.X".into())), "a.v1.X"),
        (symbol("a.v1.A"), a),
    ];
    for version in ["v1", "v1alpha"] {
        let path = PathAndQuery::try_from(format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"));
        let question = |asked: &Option<MessageRequest>| {
            ServerReflectionRequest { host: String::new(), message_request: asked.clone() }.encode_to_vec().into()
        };
        let questions: Vec<Bytes> = rows.iter().map(|(asked, _)| question(asked)).collect();
        let mut client = Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let answers = client.streaming(Request::new(stream::iter(questions)), path.unwrap(), BytesCodec).await.unwrap();
        let answers: Vec<Bytes> = answers.into_inner().try_collect().await.unwrap();
        assert_eq!(answers.len(), rows.len(), "{version}");
        for ((asked, expected), answer) in rows.iter().zip(answers) {
            assert_eq!(told(answer), *expected, "{version} {asked:?}");
        }
    }
}

#[test]
fn everything_a_file_declares_is_found_by_its_full_name() {
    let descriptors = crate::fixture::descriptors("echo.proto");
    let contract = Contract::read(Vec::new(), descriptors).unwrap();
    for (symbol, expected) in [
        ("google.api.http", Some("google/api/annotations.proto")),
        ("google.protobuf.FieldDescriptorProto.Type", Some("google/protobuf/descriptor.proto")),
        ("google.protobuf.FieldDescriptorProto.TYPE_BOOL", Some("google/protobuf/descriptor.proto")),
        ("google.api.HttpRule.pattern", Some("google/api/http.proto")),
        ("test.v1.EchoService.Get", Some("echo.proto")),
        ("google.protobuf.FieldDescriptorProto.Type.TYPE_BOOL", None),
        ("test.v1", None),
        ("", None),
    ] {
        let found = contract.symbols.get(symbol).map(|at| FileDescriptorProto::decode(&*contract.files[*at].bytes));
        assert_eq!(found.map(|file| file.unwrap().name().to_owned()).as_deref(), expected, "{symbol}");
    }
}

#[test]
fn imports_that_are_too_many_bytes_have_to_be_asked_for() {
    let padding = FileOptions { java_package: Some("x".repeat(IMPORTS_BYTES_MAX / 2)), ..FileOptions::default() };
    let file = |name: &str, imports: &[&str]| FileDescriptorProto {
        name: Some(name.into()),
        dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
        options: Some(padding.clone()),
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet { file: vec![file("a", &["b"]), file("b", &["a", "c"]), file("c", &[])] };
    let contract = Contract::read(Vec::new(), set.encode_to_vec().into()).unwrap();
    assert_eq!([0, 1, 2].map(|at| contract.with_imports(at).len()), [1, 1, 1]);
    let small = |name: &str, imports: &[&str]| FileDescriptorProto { options: None, ..file(name, imports) };
    let set = FileDescriptorSet { file: vec![small("a", &["b"]), small("b", &["a", "c"]), file("c", &[])] };
    let contract = Contract::read(Vec::new(), set.encode_to_vec().into()).unwrap();
    assert_eq!([0, 1, 2].map(|at| contract.with_imports(at).len()), [3, 3, 1]);
}
