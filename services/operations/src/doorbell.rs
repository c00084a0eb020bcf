//! What wakes the workers when there is a call to carry out. The store is the truth: a ring that is lost only delays,
//! one too many finds nothing to do.

pub(crate) mod local;
pub(crate) mod rabbit;

use async_trait::async_trait;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};

#[cfg(test)]
mod tests;

/// A doorbell that any number of workers listen to; each ring is heard by one of them.
#[async_trait]
pub(crate) trait Doorbell: Send + Sync {
    /// Rings for an operation. Once this is `Ok`, the ring waits to be heard, or a later look into the store takes its place.
    async fn ring(&self, id: &str) -> Result<(), Unheard>;

    /// Waits for a ring.
    async fn heard(&self) -> Ring;

    /// Whether it would be heard at the moment.
    fn is_well(&self) -> bool;
}

/// Why a ring may not be heard.
#[derive(Debug, thiserror::Error)]
#[error("the doorbell was not heard: {0}")]
pub(crate) struct Unheard(pub(crate) String);

/// A ring that was heard. Dropped without an answer, it rings again once this worker is gone.
pub(crate) struct Ring {
    /// The operation's id.
    pub(crate) id: String,
    delivery: Option<Box<Delivery>>,
}

impl Ring {
    /// It was attended to. What came of it has to be stored by now.
    pub(crate) async fn done(self) {
        if let Some(delivery) = self.delivery {
            // Of a connection that is lost, the ring comes again and finds nothing to do.
            let _ = delivery.ack(BasicAckOptions::default()).await;
        }
    }

    /// It could not be attended to: rings again. Not `nack`, which newer brokers do not count as an attempt.
    pub(crate) async fn again(self) {
        if let Some(delivery) = self.delivery {
            let _ = delivery.reject(BasicRejectOptions { requeue: true }).await;
        }
    }
}
