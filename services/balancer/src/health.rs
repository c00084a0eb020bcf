//! Asks endpoints how they are (`grpc.health.v1`). A process that is stopped keeps its port open and its connections
//! up; only a question with a deadline tells.

use std::error::Error as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::balancer::Shared;
use crate::endpoint::{Endpoint, Unanswered};
use crate::metrics;
use crate::table::Health;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take. One that stays out is asked for again at once, and then the endpoint is left out:
/// within four seconds of its last sign of life.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Watches until the balancer is gone.
pub(crate) async fn watch(shared: Weak<Shared>) {
    loop {
        let round = Instant::now();
        let Some(shared) = shared.upgrade() else { return };
        let due = shared.table().to_check();
        join_all(due.iter().map(|(endpoint, before)| check(&shared, endpoint, *before))).await;
        let by_state = shared.table().by_state(Instant::now());
        metrics::endpoints(&shared.name, by_state);
        drop(shared);
        tokio::time::sleep_until(round + INTERVAL).await;
    }
}

async fn check(shared: &Shared, endpoint: &Arc<Endpoint>, before: Health) {
    let mut now = ask(endpoint).await;
    if now.is_down() && !before.is_down() {
        now = ask(endpoint).await;
    }
    shared.set_health(endpoint.address, now);
    if now == Health::Silent && before != Health::Silent {
        endpoint.cut();
    }
}

/// Any answer but NOT_SERVING is one of an endpoint that can be called: it may know nothing of health, or be busy.
async fn ask(endpoint: &Arc<Endpoint>) -> Health {
    let send = tower::service_fn(|request: Request<Body>| async move {
        endpoint.send(request).await.map_err(|unanswered| match unanswered {
            Unanswered::NotOpened(reason) => Down(reason.health()),
            Unanswered::Failed(_) => Down(Health::Unreachable),
        })
    });
    let question = HealthCheckRequest::default();
    match timeout(TIMEOUT, HealthClient::new(send).check(question)).await {
        Err(_) => Health::Silent,
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::NotServing => Health::NotServing,
        Ok(Ok(_)) => Health::Usable,
        Ok(Err(status)) => match status.source() {
            Some(error) => error.downcast_ref::<Down>().map_or(Health::Unreachable, |down| down.0),
            None => Health::Usable,
        },
    }
}

/// There was no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {0:?}")]
struct Down(Health);
