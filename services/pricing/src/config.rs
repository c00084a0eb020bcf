//! Section `[pricing]`.

use malla_runtime::config;
use malla_storage::{database, redis};
use serde::{Deserialize, Serialize};

use crate::weather;

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Quotes kept in the cache: 1 to 1000000. Default 10000.
    pub cache_entries_max: u64,
    /// How long a quote follows the weather it was first made with, in milliseconds: 1 to 86400000. Default 300000.
    pub cache_ttl_ms: u64,
    /// Who tells the weather.
    pub weather: weather::Config,
    /// Where products and rules are stored.
    pub database: database::Config,
    /// Where replicas share what they know of the weather, with `redis.url`.
    pub redis: redis::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache_entries_max: 10_000,
            cache_ttl_ms: 300_000,
            weather: weather::Config::default(),
            database: database::Config::default(),
            redis: redis::Config::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("cache_entries_max", self.cache_entries_max, 1..=1_000_000),
            ("cache_ttl_ms", self.cache_ttl_ms, 1..=86_400_000),
        ];
        config::check_ranges("pricing", ranges)?;
        self.weather.check()?;
        self.redis.check("pricing")?;
        self.database.check("pricing")
    }
}
