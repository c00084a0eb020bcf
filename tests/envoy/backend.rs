//! The backend behind both: it sends every message back, and says which method was called.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use malla_runtime::codec::BytesCodec;
use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{ClientStreamingService, Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Code, Status, Streaming};

/// The descriptor set of a proto beside this file.
pub(super) fn descriptors(proto: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut compiler = protox::Compiler::new([root.join("tests/envoy"), root.join("proto")]).unwrap();
    compiler.include_imports(true).open_file(proto).unwrap();
    compiler.encode_file_descriptor_set()
}

/// Starts it, and returns its port.
pub(super) async fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(Lab).serve_with_incoming(incoming));
    port
}

#[derive(Clone, Debug)]
struct Lab;

impl NamedService for Lab {
    const NAME: &'static str = "lab.v1.Lab";
}

/// `lab.v1.Item`: read and written as any backend does, so that of a field sent twice the last counts.
#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(int64, tag = "3")]
    big: i64,
    #[prost(bool, tag = "4")]
    flag: bool,
    #[prost(int32, tag = "5")]
    color: i32,
    #[prost(message, optional, tag = "6")]
    wait: Option<prost_types::Duration>,
    #[prost(map = "string, string", tag = "7")]
    labels: HashMap<String, String>,
    #[prost(message, repeated, tag = "8")]
    subs: Vec<Sub>,
    #[prost(message, optional, tag = "9")]
    sub: Option<Sub>,
    #[prost(string, optional, tag = "10")]
    left: Option<String>,
    #[prost(string, optional, tag = "11")]
    right: Option<String>,
    #[prost(string, tag = "30")]
    rpc: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sub {
    #[prost(int32, tag = "1")]
    x: i32,
}

type Answer<T> = BoxFuture<'static, Result<tonic::Response<T>, Status>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl tower::Service<Request<Body>> for Lab {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            let mut grpc = Grpc::new(BytesCodec);
            Ok(match method.as_str() {
                "Many" => grpc.server_streaming(Many, request).await,
                "Collect" => grpc.client_streaming(Collect, request).await,
                _ => grpc.unary(One(method), request).await.map(|body| Body::new(body.map_frame(after))),
            })
        })
    }
}

/// What is said behind a message, where gRPC has a place for it.
fn after(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            trailers.insert("lab-after", HeaderValue::from_static("1"));
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

fn read(message: &[u8]) -> Result<Item, Status> {
    Item::decode(message).map_err(|error| Status::invalid_argument(error.to_string()))
}

struct One(String);

impl UnaryService<Bytes> for One {
    type Response = Bytes;
    type Future = Answer<Bytes>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let rpc = self.0.clone();
        Box::pin(async move {
            if rpc == "Fail" {
                // A detail of a type that no descriptor of either edge has.
                let detail =
                    prost_types::Any { type_url: "type.googleapis.com/lab.v1.Unheard".into(), value: vec![8, 1] };
                let status = RpcStatus { code: 5, message: "no such thing".into(), details: vec![detail] };
                return Err(Status::with_details(Code::NotFound, "no such thing", status.encode_to_vec().into()));
            }
            Ok(tonic::Response::new(Item { rpc, ..read(&request.into_inner())? }.encode_to_vec().into()))
        })
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// Two messages; then, if the id asks for it, an error.
struct Many;

impl ServerStreamingService<Bytes> for Many {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Answer<Messages>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let broken = (read(&request.into_inner())?.id == "broken").then(|| Err(Status::data_loss("half way")));
            let messages = ["1", "2"].map(|id| Ok(Item { id: id.into(), ..Item::default() }.encode_to_vec().into()));
            Ok(tonic::Response::new(stream::iter(messages.into_iter().chain(broken)).boxed() as Messages))
        })
    }
}

/// Says how many messages came, and their ids.
struct Collect;

impl ClientStreamingService<Bytes> for Collect {
    type Response = Bytes;
    type Future = Answer<Bytes>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let mut messages = request.into_inner();
            let mut all = Item { rpc: "Collect".into(), ..Item::default() };
            while let Some(message) = messages.message().await? {
                all.big += 1;
                all.id.push_str(&read(&message)?.id);
            }
            Ok(tonic::Response::new(all.encode_to_vec().into()))
        })
    }
}
