//! A tonic service, the edge in front of it, and a page of one's own: all in one process, on one port.
//!
//! ```sh
//! cargo run -p malla-example
//! curl 'http://127.0.0.1:8080/v1/greetings/ana?times=2'
//! curl http://127.0.0.1:8080/v1/greetings -H 'content-type: application/json' -d '{"name": "ana"}'
//! grpcurl -plaintext -d '{"name": "ana"}' 127.0.0.1:8080 greeter.v1.Greeter/Greet
//! curl http://127.0.0.1:8080/openapi.json
//! ```
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

use axum::Router;
use axum::routing::get;
use malla_edge::{About, Backend, Edge, Shutdown};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};

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

#[async_trait]
impl Greeter for Polite {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let GreetRequest { name, times } = request.into_inner();
        match (name.as_str(), times) {
            ("", _) => Err(Status::invalid_argument("name is empty")),
            (_, 11..) => Err(Status::out_of_range("ten times are enough")),
            (name, times) => {
                let lines = vec![format!("Hello, {name}!"); times.max(1) as usize];
                Ok(Response::new(GreetResponse { lines }))
            }
        }
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
