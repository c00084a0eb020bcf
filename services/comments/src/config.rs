//! Section `[comments]`.

use malla_runtime::config;
use malla_storage::database;
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Watches open at the same time: 1 to 100000; more are refused. Each also counts as a call of
    /// `server.calls_max`, so stay below that. Default 500.
    pub watchers_max: usize,
    /// Those of one client, an IPv4 address or an IPv6 network of 64 bits: 1 to 100000. Raise it where the edge is behind a
    /// proxy, whose clients all have its address. Default 100.
    pub watchers_per_ip_max: usize,
    /// Comments kept for a watcher that reads slowly, before it is ended: 1 to 10000. Default 256.
    pub watch_backlog_max: usize,
    /// How often the store is asked for comments of other processes while somebody watches: 10 to 60000. Default
    /// 300.
    pub poll_ms: u64,
    /// Where the comments are stored.
    pub database: database::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            watchers_max: 500,
            watchers_per_ip_max: 100,
            watch_backlog_max: 256,
            poll_ms: 300,
            database: database::Config::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("watchers_max", self.watchers_max as u64, 1..=100_000),
            ("watchers_per_ip_max", self.watchers_per_ip_max as u64, 1..=100_000),
            ("watch_backlog_max", self.watch_backlog_max as u64, 1..=10_000),
            ("poll_ms", self.poll_ms, 10..=60_000),
        ];
        config::check_ranges("comments", ranges)?;
        self.database.check("comments")
    }
}
