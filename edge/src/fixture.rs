//! A small service of its own for the crate's tests: `fixture/echo.proto`, compiled when they run, and a backend that
//! answers it without any generated code.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use malla_runtime::auth::{self, Authenticator};
use malla_runtime::guard::{self, Guard};
use malla_runtime::link::Link;
use malla_runtime::policy::Policies;
use malla_runtime::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

use crate::{About, Backend, Config, Deferral, Edge, Json, Names};

mod backend;

pub(crate) use backend::Fate;

pub(crate) const SERVICE: &str = "test.v1.EchoService";

/// The descriptor set of a proto next to this file.
pub(crate) fn descriptors(file: &str) -> Bytes {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root.join("src/fixture"), root.join("../proto")]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap();
    compiler.encode_file_descriptor_set().into()
}

/// The echo service alone.
pub(crate) fn echo() -> backend::Echo {
    backend::Echo(unbounded_channel().0)
}

pub(crate) fn backend(descriptors: Bytes) -> Backend {
    Backend {
        name: "echo".into(),
        services: vec![SERVICE.into()],
        descriptors,
        link: Link::alone("echo", Routes::new(echo())),
        foreign: false,
    }
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
    in_front_of(config, backend(descriptors("echo.proto")))
}

/// An edge in front of an echo backend behind a socket, and what becomes of its calls.
pub(crate) async fn remote(config: Config) -> (Edge, UnboundedReceiver<&'static str>) {
    let (fates, told) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let routes = Routes::new(backend::Echo(fates));
    let guard = Guard::new(routes, Policies::default(), authenticator, &guard::Config::default());
    tokio::spawn(async move {
        malla_runtime::server::serve(listener, guard, &guard::Config::default(), Shutdown::default()).await
    });
    let link = Link::remote("echo", &address.parse().unwrap());
    (in_front_of(config, Backend { link, ..backend(descriptors("echo.proto")) }), told)
}

pub(crate) fn in_front_of(config: Config, backend: Backend) -> Edge {
    deferring(config, backend, None)
}

/// An edge whose calls are kept for later.
pub(crate) fn deferring(config: Config, backend: Backend, deferral: Option<Arc<dyn Deferral>>) -> Edge {
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let about = About { name: "test".into(), version: "1".into() };
    Edge::new(config, &[backend], authenticator, about, deferral).unwrap()
}

/// Serves with hyper and nothing else, as a stranger's server may.
pub(crate) async fn bare<S>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// An edge in front of such a server.
pub(crate) async fn in_front_of_bare<S>(service: S) -> Edge
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let address = format!("http://{}", bare(service).await);
    let link = Link::remote("echo", &address.parse().unwrap());
    in_front_of(config(), Backend { link, ..backend(descriptors("echo.proto")) })
}

/// An edge in front of an echo backend that is such a server, and what becomes of its calls.
pub(crate) async fn bare_echo() -> (Edge, UnboundedReceiver<&'static str>) {
    let (fates, told) = unbounded_channel();
    let echo = backend::Echo(fates).map_request(|request: Request<Incoming>| request.map(Body::new));
    (in_front_of_bare(echo).await, told)
}

/// Sends one request through an edge.
pub(crate) async fn send(edge: &Edge, request: Request<Body>) -> Response<Body> {
    edge.clone().oneshot(request).await.unwrap()
}
