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
    let (mut now, mut reason) = ask(endpoint).await;
    if now.is_down() && !before.is_down() {
        (now, reason) = ask(endpoint).await;
    }
    shared.set_health(endpoint.address, now, &reason);
    if now == Health::Silent && before != Health::Silent {
        endpoint.cut();
    }
}

/// Any answer but NOT_SERVING is one of an endpoint that can be called: it may know nothing of health, or be busy.
async fn ask(endpoint: &Arc<Endpoint>) -> (Health, String) {
    let send = tower::service_fn(|request: Request<Body>| async move {
        endpoint.send(request).await.map_err(|unanswered| match unanswered {
            Unanswered::NotOpened(reason) => Down(reason.health(), reason.to_string()),
            Unanswered::Failed(error) => Down(Health::Unreachable, error.to_string()),
        })
    });
    let question = HealthCheckRequest::default();
    match timeout(TIMEOUT, HealthClient::new(send).check(question)).await {
        Err(_) => (Health::Silent, format!("no answer within {TIMEOUT:?}")),
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::NotServing => {
            (Health::NotServing, "it says so".to_owned())
        }
        Ok(Ok(_)) => (Health::Usable, String::new()),
        Ok(Err(status)) => match status.source().map(|error| error.downcast_ref::<Down>()) {
            Some(Some(Down(health, reason))) => (*health, reason.clone()),
            Some(None) => (Health::Unreachable, status.to_string()),
            None => (Health::Usable, String::new()),
        },
    }
}

/// There was no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {1}")]
struct Down(Health, String);
