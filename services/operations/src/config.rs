//! Section `[operations]`.

use std::time::Duration;

use malla_runtime::config::{self, Secret};
use malla_storage::{database, keyed};
use serde::{Deserialize, Serialize};

use crate::doorbell::rabbit;

/// A key is forgotten so long after its first call: an attempt that is under way then might repeat an effect.
const DEADLINE_MS_MAX: i64 = keyed::KEPT_MS - lease_ms(ATTEMPT_MS_MAX);
const ATTEMPT_MS_MAX: i64 = 300_000;

/// How long whoever makes an attempt has it for itself.
const fn lease_ms(attempt_ms: i64) -> i64 {
    attempt_ms * 2
}

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long the result of an operation is kept once it is done: 60000 to 2592000000 (30 days). Default 86400000
    /// (24 hours).
    pub retention_ms: i64,
    /// How long a call may take from its acceptance to its end: 1000 to 85800000, for its idempotency key is known for
    /// 24 hours. Default 82800000 (23 hours).
    pub deadline_ms: i64,
    /// How long one attempt may take; one that is not settled after twice that time is taken for crashed: 100 to
    /// 300000. Default 15000.
    pub attempt_ms: i64,
    /// Operations that have not ended; with more, calls are refused: 1 to 1000000. Default 10000.
    pub unfinished_max: u64,
    /// Operations kept for one owner, those that have ended included; with more, the owner's calls are refused. All
    /// callers without credentials are one owner, of whose operations those that have ended do not count: 1 to 1000000.
    /// Default 1000.
    pub per_owner_max: u64,
    /// What all operations may take in the store: their requests until they have ended, their results, and 1 KiB each.
    /// With more, calls are refused; those of callers without credentials with half of it: 2097152 to 1099511627776.
    /// Default 268435456 (256 MiB).
    pub stored_bytes_max: i64,
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
            deadline_ms: 82_800_000,
            attempt_ms: 15_000,
            unfinished_max: 10_000,
            per_owner_max: 1_000,
            stored_bytes_max: 256 << 20,
            database: database::Config::default(),
            broker: Broker::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("retention_ms", self.retention_ms, 60_000..=2_592_000_000),
            ("deadline_ms", self.deadline_ms, 1_000..=DEADLINE_MS_MAX),
            ("attempt_ms", self.attempt_ms, 100..=ATTEMPT_MS_MAX),
            ("stored_bytes_max", self.stored_bytes_max, 2 << 20..=1 << 40),
        ];
        config::check_ranges("operations", ranges)?;
        let counts = [("unfinished_max", self.unfinished_max), ("per_owner_max", self.per_owner_max)];
        config::check_ranges("operations", counts.map(|(key, count)| (key, count, 1..=1_000_000)))?;
        if !self.broker.url.is_empty() {
            rabbit::address(&self.broker.url)?;
        }
        self.database.check("operations")
    }

    pub(crate) fn lease_ms(&self) -> i64 {
        lease_ms(self.attempt_ms)
    }

    pub(crate) fn attempt(&self) -> Duration {
        Duration::from_millis(self.attempt_ms.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attempt begun at the last moment ends before its key is forgotten, or it could have its effect twice.
    #[test]
    fn no_call_outlives_its_key() {
        Config::default().check().expect("good defaults");
        let longest = Config { deadline_ms: DEADLINE_MS_MAX, attempt_ms: ATTEMPT_MS_MAX, ..Config::default() };
        longest.check().expect("in range");
        assert!(longest.deadline_ms + longest.lease_ms() <= keyed::KEPT_MS);
        let longer = Config { deadline_ms: DEADLINE_MS_MAX + 1, ..Config::default() };
        let refused = longer.check().expect_err("it outlives its key").to_string();
        assert!(refused.contains("operations.deadline_ms") && refused.contains("85800000"), "{refused}");
    }
}
