//! Section `[availability]`.

use malla_runtime::config;
use malla_storage::{database, redis};
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Cities kept in the cache: 1 to 1000000. Default 10000.
    pub cache_entries_max: u64,
    /// How long a cached city is taken for true, in milliseconds; another process's write shows no later: 1 to
    /// 86400000. Default 60000.
    pub cache_ttl_ms: u64,
    /// Where the cities are stored.
    pub database: database::Config,
    /// Where replicas share the cache, with `redis.url`: another's write shows after a second then, or after
    /// `cache_ttl_ms` if Redis was away meanwhile.
    pub redis: redis::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache_entries_max: 10_000,
            cache_ttl_ms: 60_000,
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
        config::check_ranges("availability", ranges)?;
        self.redis.check("availability")?;
        self.database.check("availability")
    }
}
