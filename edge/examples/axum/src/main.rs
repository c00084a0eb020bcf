//! A tonic service, the edge in front of it, and a page of one's own: all in one process, on one port.
//!
//! ```sh
//! cargo run -p malla-example
//! curl 'http://127.0.0.1:8080/v1/greetings/ana?times=2'
//! curl http://127.0.0.1:8080/v1/greetings -H 'content-type: application/json' -d '{"name": "ana"}'
//! grpcurl -plaintext -d '{"name": "ana"}' 127.0.0.1:8080 greeter.v1.Greeter/Greet
//! curl -N http://127.0.0.1:8080/v1/greetings/ana:all -H 'accept: text/event-stream'
//! websocat ws://127.0.0.1:8080/v1/greetings/ana:all
//! curl http://127.0.0.1:8080/openapi.json
//! ```
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

use std::pin::Pin;

use axum::Router;
use axum::routing::get;
use futures_util::{Stream, StreamExt as _};
use malla_edge::{About, Backend, Edge, Shutdown};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use proto::greeter_server::{Greeter, GreeterServer};
use proto::{GreetRequest, GreetResponse};

#[cfg(test)]
mod tests;

mod proto {
    #![expect(unreachable_pub, clippy::allow_attributes_without_reason, reason = "it is generated")]
    tonic::include_proto!("greeter.v1");

    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/greeter.binpb"));
}

struct Polite;

fn greeting(GreetRequest { name, times }: GreetRequest) -> Result<GreetResponse, Status> {
    match (name.as_str(), times) {
        ("", _) => Err(Status::invalid_argument("name is empty")),
        (_, 11..) => Err(Status::out_of_range("ten times are enough")),
        (name, times) => Ok(GreetResponse { lines: vec![format!("Hello, {name}!"); times.max(1) as usize] }),
    }
}

#[async_trait]
impl Greeter for Polite {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        greeting(request.into_inner()).map(Response::new)
    }

    type GreetAllStream = Pin<Box<dyn Stream<Item = Result<GreetResponse, Status>> + Send>>;

    async fn greet_all(
        &self,
        request: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Self::GreetAllStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner().map(|asked| greeting(asked?)))))
    }
}

fn edge() -> Result<Edge, malla_edge::BuildError> {
    let routes = Routes::new(GreeterServer::new(Polite));
    Edge::builder()
        .about(About { name: "Greetings".to_owned(), version: "1".to_owned() })
        .backend(Backend::local("greeter", ["greeter.v1.Greeter"], proto::DESCRIPTORS, routes))
        .build()
}

/// What axum has no route for goes to the edge.
fn app(edge: Edge) -> Router {
    Router::new().route("/hello", get(|| async { "This is axum's.\n" })).fallback_service(edge)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let edge = edge()?;
    tokio::spawn(edge.clone().follow_health(Shutdown::default()));
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app(edge)).await?;
    Ok(())
}
