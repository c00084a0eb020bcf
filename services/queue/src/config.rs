//! Section `[queue]`.

use malla_runtime::config::{self, Secret};
use malla_storage::{database, redis};
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Longest message, as JSON text: 1 to 1048576. Default 262144.
    pub message_bytes_max: i64,
    /// Messages a queue holds, leased ones and dead letters included: 1 to 10000000. Default 100000.
    pub messages_max: i64,
    /// Idempotency keys a queue remembers, each for 24 hours: 1 to 100000000. Default 10000000.
    pub keys_max: i64,
    /// Queues that hold messages, or did a minute ago: 1 to 100000. Default 1000.
    pub queues_max: i64,
    /// How often a message is received before it becomes a dead letter: 1 to 1000. Default 5.
    pub receives_max: i64,
    /// How long a message stays that nobody takes, counted from when it became ready, or a dead letter that nobody
    /// redrives, counted from its death: 60000 to 1209600000 (14 days). Default 345600000 (4 days).
    pub retention_ms: i64,
    /// Streams of messages at a time: 1 to 10000. Default 100.
    pub subscribers_max: usize,
    /// Those of one user: 1 to 10000. Default 25.
    pub subscribers_per_user_max: usize,
    /// Where the messages are stored, unless in Redis.
    pub database: database::Config,
    /// Where they are stored instead, with `redis.url`.
    pub redis: Redis,
}

/// Subsection `redis`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// As [`redis::Config::url`]. Empty: the messages are in the database.
    pub url: Secret,
    /// With TLS, the authorities whose certificates are trusted: a PEM file. Empty, the default: the machine's.
    pub ca_file: String,
    /// How long a command may take: 10 to 60000. Default 2000.
    pub command_ms: u64,
    /// Whether to serve only from a Redis that keeps all it acknowledged when it is killed. Default false.
    pub require_durable: bool,
    /// Replicas that have to have a message before its push is acknowledged: 0 to 5. Default 0: one, where there is or
    /// was one.
    pub replicas_min: u32,
}

impl Default for Redis {
    fn default() -> Self {
        let redis::Config { url, ca_file, command_ms } = redis::Config::default();
        Self { url, ca_file, command_ms, require_durable: false, replicas_min: 0 }
    }
}

impl Redis {
    pub(crate) fn connection(&self) -> redis::Config {
        redis::Config { url: self.url.clone(), ca_file: self.ca_file.clone(), command_ms: self.command_ms }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message_bytes_max: 262_144,
            messages_max: 100_000,
            keys_max: 10_000_000,
            queues_max: 1_000,
            receives_max: 5,
            retention_ms: 345_600_000,
            subscribers_max: 100,
            subscribers_per_user_max: 25,
            database: database::Config::default(),
            redis: Redis::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("message_bytes_max", self.message_bytes_max, 1..=1_048_576),
            ("messages_max", self.messages_max, 1..=10_000_000),
            ("keys_max", self.keys_max, 1..=100_000_000),
            ("queues_max", self.queues_max, 1..=100_000),
            ("receives_max", self.receives_max, 1..=1_000),
            ("retention_ms", self.retention_ms, 60_000..=1_209_600_000),
        ];
        config::check_ranges("queue", ranges)?;
        let ranges = [
            ("subscribers_max", self.subscribers_max, 1..=10_000),
            ("subscribers_per_user_max", self.subscribers_per_user_max, 1..=10_000),
        ];
        config::check_ranges("queue", ranges)?;
        config::check_ranges("queue.redis", [("replicas_min", self.redis.replicas_min, 0..=5)])?;
        self.redis.connection().check("queue")?;
        self.database.check("queue")
    }
}
