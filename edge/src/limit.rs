//! How many requests are in flight. A permit lives as long as the response's body.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rejection::Rejection;

/// The cap on requests in flight; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Limit(Arc<Semaphore>);

/// One request's place.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Limit {
    pub(crate) fn new(requests_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(requests_max.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes a place at once, or none: a queue would only hide the overload.
    ///
    /// # Errors
    /// 503 with `Retry-After` when all are taken.
    pub(crate) fn enter(&self) -> Result<Permit, Rejection> {
        self.permit().ok_or_else(|| Rejection::overloaded("the edge is at its limit of requests"))
    }

    /// The same where the places are those of one client.
    ///
    /// # Errors
    /// 429 with `Retry-After` when all are taken.
    pub(crate) fn enter_of_client(&self) -> Result<Permit, Rejection> {
        self.permit().ok_or_else(|| Rejection::exhausted("too many requests of this client are in flight"))
    }

    fn permit(&self) -> Option<Permit> {
        self.0.clone().try_acquire_owned().ok().map(Permit)
    }
}
