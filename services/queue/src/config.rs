//! Section `[queue]`.

use malla_runtime::{config, database};
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Longest message, as JSON text: 1 to 1048576. Default 262144.
    pub message_bytes_max: i64,
    /// Messages a queue holds, leased ones and dead letters included: 1 to 10000000. Default 100000.
    pub messages_max: i64,
    /// Queues that hold messages, or did a minute ago: 1 to 100000. Default 1000.
    pub queues_max: i64,
    /// How often a message is received before it becomes a dead letter: 1 to 1000. Default 5.
    pub receives_max: i64,
    /// How long a message stays that nobody takes, counted from when it became ready, or a dead letter that nobody
    /// redrives, counted from its death: 60000 to 1209600000 (14 days). Default 345600000 (4 days).
    pub retention_ms: i64,
    /// Where the messages are stored.
    pub database: database::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message_bytes_max: 262_144,
            messages_max: 100_000,
            queues_max: 1_000,
            receives_max: 5,
            retention_ms: 345_600_000,
            database: database::Config::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("message_bytes_max", self.message_bytes_max, 1..=1_048_576),
            ("messages_max", self.messages_max, 1..=10_000_000),
            ("queues_max", self.queues_max, 1..=100_000),
            ("receives_max", self.receives_max, 1..=1_000),
            ("retention_ms", self.retention_ms, 60_000..=1_209_600_000),
        ];
        config::check_ranges("queue", ranges)?;
        self.database.check("queue")
    }
}
