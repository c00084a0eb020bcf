//! Section `[operations]`.

use std::time::Duration;

use malla_runtime::config::{self, Secret};
use malla_storage::database;
use serde::{Deserialize, Serialize};

use crate::doorbell::rabbit;

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long the result of an operation is kept once it is done: 60000 to 2592000000 (30 days). Default 86400000
    /// (24 hours).
    pub retention_ms: i64,
    /// How long a call may take from its acceptance to its end: 1000 to 2592000000 (30 days). Default 86400000
    /// (24 hours).
    pub deadline_ms: i64,
    /// How long one attempt may take; one that is not settled after twice that time is taken for crashed: 100 to
    /// 300000. Default 15000.
    pub attempt_ms: i64,
    /// Operations that have not ended; with more, calls are refused: 1 to 1000000. Default 10000.
    pub unfinished_max: u64,
    /// Operations kept for one owner, those that have ended included; with more, the owner's calls are refused. All
    /// callers without credentials are one owner: 1 to 1000000. Default 1000.
    pub per_owner_max: u64,
    /// Where the operations are stored.
    pub database: database::Config,
    /// What wakes the workers.
    pub broker: Broker,
}

/// Subsection `broker`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// `amqp://user:password@host:port/vhost` of a RabbitMQ, 3.10 or newer; `amqps` for TLS. Empty: no broker, the
    /// workers are woken inside this process.
    pub url: Secret,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention_ms: 86_400_000,
            deadline_ms: 86_400_000,
            attempt_ms: 15_000,
            unfinished_max: 10_000,
            per_owner_max: 1_000,
            database: database::Config::default(),
            broker: Broker::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("retention_ms", self.retention_ms, 60_000..=2_592_000_000),
            ("deadline_ms", self.deadline_ms, 1_000..=2_592_000_000),
            ("attempt_ms", self.attempt_ms, 100..=300_000),
        ];
        config::check_ranges("operations", ranges)?;
        let counts = [("unfinished_max", self.unfinished_max), ("per_owner_max", self.per_owner_max)];
        config::check_ranges("operations", counts.map(|(key, count)| (key, count, 1..=1_000_000)))?;
        if !self.broker.url.is_empty() {
            rabbit::address(&self.broker.url)?;
        }
        self.database.check("operations")
    }

    /// How long whoever makes an attempt has it for itself.
    pub(crate) fn lease_ms(&self) -> i64 {
        self.attempt_ms * 2
    }

    pub(crate) fn attempt(&self) -> Duration {
        Duration::from_millis(self.attempt_ms.unsigned_abs())
    }
}
