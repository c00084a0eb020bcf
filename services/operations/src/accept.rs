//! `malla.operations.v1`: accepts calls for later. What it answers with an operation will be carried out or end with an
//! error. What it refuses will not be carried out, unless its promise was written and its caller never heard: the store
//! took too long over that one commit, or its answer was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use malla_contracts::malla::operations::v1 as proto;
use malla_contracts::malla::operations::v1::operations_service_server::OperationsService;
use malla_runtime::status::Invalid;
use malla_storage::keyed;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use crate::doorbell::Doorbell;
use crate::error::Error;
use crate::mesh;
use crate::service::operation;
use crate::store::{Call, Calls, Draft};

#[cfg(test)]
pub(crate) mod tests;

const REQUEST_BYTES_MAX: usize = 256 << 10;
/// How long it may take until a call can be promised. Whoever asked waits a second; the rest of it is for storing the promise
/// and for the way back.
const PROMISE_TIMEOUT: Duration = Duration::from_millis(600);

/// The gRPC service.
#[derive(Clone)]
pub(crate) struct Accepting {
    calls: Arc<Calls>,
    bell: Arc<dyn Doorbell>,
    /// Rung when a call is promised.
    promised: Arc<Notify>,
    promise_timeout: Duration,
}

impl Accepting {
    pub(crate) fn new(calls: Arc<Calls>, bell: Arc<dyn Doorbell>, promised: Arc<Notify>) -> Self {
        Self { calls, bell, promised, promise_timeout: PROMISE_TIMEOUT }
    }

    /// The row is stored first and the bell rung next, so that no ring is without its row. Only when both were done is
    /// the call promised; before that no worker takes it.
    async fn accept(&self, draft: Draft) -> Result<Call, Error> {
        let asked = Instant::now();
        let in_time = || asked.elapsed() <= self.promise_timeout;
        let call = self.calls.insert(draft).await?;
        if call.confirmed {
            return Ok(call);
        }
        match self.bell.ring(&call.id).await {
            Ok(()) if self.calls.confirm(&call.id, in_time).await? => {
                self.promised.notify_waiters();
                return Ok(call);
            }
            Ok(()) => tracing::warn!(operation.id = call.id, "a call was not deferred: the store took too long"),
            Err(error) => tracing::warn!(operation.id = call.id, %error, "a call cannot be deferred"),
        }
        if self.calls.take_back(&call.id).await? {
            return Err(Error::NotPromised);
        }
        // Promised to another who came with the same key?
        self.calls.find(&call.id).await?.ok_or(Error::NotPromised)
    }
}

#[tonic::async_trait]
impl OperationsService for Accepting {
    async fn accept_call(
        &self,
        request: Request<proto::AcceptCallRequest>,
    ) -> Result<Response<proto::AcceptCallResponse>, Status> {
        let draft = draft(request.into_inner()).map_err(Error::from)?;
        let accepting = self.clone();
        // A task of its own: a caller that leaves must not leave a call half accepted.
        let accepted = tokio::spawn(async move { accepting.accept(draft).await }).await;
        let call = accepted.map_err(|error| malla_runtime::status::internal(&error))??;
        Ok(Response::new(proto::AcceptCallResponse { operation: Some(operation(call.into())?) }))
    }
}

fn draft(request: proto::AcceptCallRequest) -> Result<Draft, Invalid> {
    let refuse = |field, description: &'static str| Err(Invalid { field, description: description.into() });
    if !keyed::is_key(&request.idempotency_key) {
        return refuse("idempotency_key", "must be 1 to 255 visible ASCII characters");
    }
    if !mesh::is_method(&request.method) {
        return refuse("method", "must be package.Service/Method");
    }
    if request.request.len() > REQUEST_BYTES_MAX {
        return refuse("request", "must be at most 256 KiB");
    }
    Ok(Draft {
        owner: request.subject,
        username: request.username,
        method: request.method,
        request: request.request.into(),
        response_type: request.response_type,
        key: request.idempotency_key,
    })
}
