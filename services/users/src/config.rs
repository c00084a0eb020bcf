//! Section `[users]`.

use malla_runtime::config;
use malla_storage::database;
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long an access token is good for, in seconds: 60 to 3600. Default 600.
    pub token_ttl_s: u32,
    /// Logins that wait for a core to hash their password; more are refused: 0 to 1000. Default 32.
    pub logins_waiting_max: u32,
    /// The same for registrations, fewer, so that a flood of them leaves logins their turn: 0 to 1000. Default 8.
    pub registrations_waiting_max: u32,
    /// How long one of them waits before it is refused, in milliseconds: 0 to 10000. Default 1000.
    pub hash_wait_ms: u32,
    /// Failed logins of one client within a minute, an IPv4 address or an IPv6 network of 64 bits: 1 to 1000000; then it has
    /// to wait. Raise it where the edge is behind a proxy, whose clients all have its address. Default 20.
    pub failed_logins_per_ip_max: u32,
    /// Names whose failed logins are remembered, as many clients, and as many names at a client: 1 to 1000000. Default
    /// 10000.
    pub throttled_names_max: u32,
    /// Where accounts, keys and revocations are stored.
    pub database: database::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token_ttl_s: 600,
            logins_waiting_max: 32,
            registrations_waiting_max: 8,
            hash_wait_ms: 1_000,
            failed_logins_per_ip_max: 20,
            throttled_names_max: 10_000,
            database: database::Config::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("token_ttl_s", self.token_ttl_s, 60..=3_600),
            ("logins_waiting_max", self.logins_waiting_max, 0..=1_000),
            ("registrations_waiting_max", self.registrations_waiting_max, 0..=1_000),
            ("hash_wait_ms", self.hash_wait_ms, 0..=10_000),
            ("failed_logins_per_ip_max", self.failed_logins_per_ip_max, 1..=1_000_000),
            ("throttled_names_max", self.throttled_names_max, 1..=1_000_000),
        ];
        config::check_ranges("users", ranges)?;
        self.database.check("users")
    }
}

#[cfg(test)]
mod tests;
