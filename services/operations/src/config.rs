//! Section `[operations]`.

use malla_runtime::{config, database};
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long the result of an operation is kept once it is done: 60000 to 2592000000 (30 days). Default 86400000
    /// (24 hours).
    pub retention_ms: i64,
    /// Where the operations are stored.
    pub database: database::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { retention_ms: 86_400_000, database: database::Config::default() }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        config::check_ranges("operations", [("retention_ms", self.retention_ms, 60_000..=2_592_000_000)])?;
        self.database.check("operations")
    }
}
