//! Messages in a store. Knows the laws of delivery, not the protocol, and does not wait.

use async_trait::async_trait;
use malla_runtime::status::shown;

use crate::error::Error;
use crate::rules::Body;

mod redis;
mod sql;

pub(crate) use redis::Redis;
pub(crate) use sql::Sql;

/// How long a pushed message's idempotency key is known: 24 hours.
const KEY_MS: i64 = 86_400_000;
/// How long an acknowledged message's receipt is known: 10 minutes.
const TOMBSTONE_MS: i64 = 600_000;

/// A message, and what its place in its life says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Place in the order of pushing.
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) queue: String,
    pub(crate) pushed_ms: i64,
    /// Ends a delay or a lease, begins readiness or death.
    pub(crate) visible_ms: i64,
    /// Names the latest delivery, unless it was given back.
    pub(crate) receipt: Option<String>,
    /// Deliveries since it was pushed or redriven.
    pub(crate) attempts: i32,
    /// A `google.protobuf.Value`.
    pub(crate) body: Vec<u8>,
}

/// A delivery, by what its consumer knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) queue: String,
    pub(crate) id: String,
    pub(crate) receipt: String,
}

/// A queue's messages by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) ready: i64,
    pub(crate) delayed: i64,
    pub(crate) leased: i64,
    pub(crate) dead: i64,
    /// Since the oldest ready message was pushed, in milliseconds.
    pub(crate) oldest_ready_age_ms: Option<i64>,
}

/// What survives of what was acknowledged when the store's process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// All of it.
    Durable,
    /// Not the last of it, or nothing is known of it.
    Relaxed,
}

impl Durability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Relaxed => "relaxed",
        }
    }
}

/// All queues. Every change of a message is atomic; what is done to any number of them goes in steps.
#[async_trait]
pub(crate) trait Messages: Send + Sync {
    /// Appends a message and returns its id; the first one's id when the key tells that it was pushed before.
    async fn push(&self, queue: &str, body: Body, key: Option<&str>, delay_ms: i64) -> Result<String, Error>;

    /// Removes and returns the oldest ready message.
    async fn pop(&self, queue: &str) -> Result<Option<Message>, Error>;

    /// Leases up to `limit` ready messages, oldest first, under one new receipt; fewer when they are too big to be
    /// sent together.
    async fn receive(&self, queue: &str, limit: u64, visibility_ms: i64) -> Result<Vec<Message>, Error>;

    /// Removes a leased message and leaves a tombstone, by which the same receipt is known when it comes again.
    async fn ack(&self, delivery: &Delivery) -> Result<(), Error>;

    /// Ends a lease; the message is ready, or dead, after the delay.
    async fn nack(&self, delivery: &Delivery, delay_ms: i64) -> Result<(), Error>;

    /// Gives back those messages that were received last under this receipt, also if its lease has ended: ready, as if that
    /// had not been.
    async fn release(&self, queue: &str, receipt: &str, ids: &[String]) -> Result<(), Error>;

    /// Gives a lease a new end, and returns it.
    async fn extend(&self, delivery: &Delivery, visibility_ms: i64) -> Result<i64, Error>;

    /// Those of a queue's deliveries whose leases have not ended, by time or by their consumer.
    async fn held(&self, queue: &str, deliveries: Vec<Delivery>) -> Result<Vec<Delivery>, Error>;

    /// Counts the ready messages.
    async fn count(&self, queue: &str) -> Result<u64, Error>;

    /// Counts the messages of each state, all at the same moment.
    async fn stats(&self, queue: &str) -> Result<Stats, Error>;

    /// Up to `limit` dead letters pushed after the one with this `seq`, oldest first; of those that are too
    /// big to be sent together, one more than can be.
    async fn dead_letters(&self, queue: &str, after: i64, limit: u32) -> Result<Vec<Message>, Error>;

    /// Makes all dead letters ready, as if never received, and returns how many.
    async fn redrive(&self, queue: &str) -> Result<u64, Error>;

    /// Asks the store for a sign of life, and tells its kind.
    async fn check(&self) -> Result<&'static str, Error>;

    /// What its acknowledgements are worth now.
    fn durability(&self) -> Durability;

    /// Whether a call's answer can be kept with what it did, so that it may come again with an idempotency key.
    fn keeps_answers(&self) -> bool;

    /// Removes what has outlived its time: messages (and returns how many), keys, tombstones, empty queues.
    async fn sweep(&self) -> Result<u64, Error>;
}

fn stale(delivery: &Delivery) -> Error {
    Error::Stale { id: shown(&delivery.id) }
}

#[cfg(test)]
pub(crate) mod tests;
