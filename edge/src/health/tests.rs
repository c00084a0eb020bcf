use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use malla_runtime::link::Link;
use tonic::service::Routes;
use tonic::{Request, Response};
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};

use super::*;
use crate::fixture;

/// Says once that it serves, and hangs.
struct Hung;

#[tonic::async_trait]
impl HealthService for Hung {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        std::future::pending().await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let serving = HealthCheckResponse { status: State::Serving.into() };
        Ok(Response::new(stream::iter([Ok(serving)]).chain(stream::pending()).boxed()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_is_noticed() {
    let link = Link::alone("hung", Routes::new(HealthServer::new(Hung)));
    let health = Health::new(&[Backend { link, ..fixture::backend(fixture::descriptors("echo.proto")) }]);
    let following = tokio::spawn(health.clone().follow(Shutdown::default()));
    let until = async |state| {
        while health.overall() != state {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until(State::Serving).await;
    let noticed = tokio::time::timeout(PROBE_INTERVAL + PROBE_TIMEOUT * 2, until(State::NotServing)).await;
    assert!(noticed.is_ok());
    following.abort();
}
