//! A small service of its own for the crate's tests: `fixture/echo.proto`, compiled when they run, and a backend that
//! answers it without any generated code.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use malla_runtime::auth::{self, Authenticator};
use malla_runtime::guard::{self, Guard};
use malla_runtime::link::Link;
use malla_runtime::policy::Policies;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::body::Body;
use tonic::service::Routes;

use crate::{About, Backend, Config, Edge, Json, Names};

mod backend;

pub(crate) const SERVICE: &str = "test.v1.EchoService";

/// The descriptor set of a proto next to this file.
pub(crate) fn descriptors(file: &str) -> Bytes {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root.join("src/fixture"), root.join("../proto")]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap();
    compiler.encode_file_descriptor_set().into()
}

/// A method of the echo service.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    let pool = DescriptorPool::decode(descriptors("echo.proto")).unwrap();
    let service = pool.get_service_by_name(SERVICE).unwrap();
    service.methods().find(|method| method.name() == name).unwrap()
}

pub(crate) fn backend(descriptors: Bytes) -> Backend {
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let routes = Routes::new(backend::Echo);
    let guard = Guard::new(routes, Policies::default(), authenticator, &guard::Config::default());
    Backend { name: "echo".into(), services: vec![SERVICE.into()], descriptors, link: Link::local("echo", guard) }
}

pub(crate) fn config() -> Config {
    Config {
        trailing_slash: true,
        schemeless_authorization: true,
        upload_bytes_max: 4 << 20,
        json: Json { names: Names::Proto, ..Json::default() },
        ..Config::default()
    }
}

pub(crate) fn edge(config: Config) -> Edge {
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let about = About { name: "test".into(), version: "1".into() };
    Edge::new(config, &[backend(descriptors("echo.proto"))], authenticator, about).unwrap()
}

/// Sends one request through an edge.
pub(crate) async fn send(edge: &Edge, request: Request<Body>) -> Response<Body> {
    tower::ServiceExt::oneshot(edge.clone(), request).await.unwrap()
}
