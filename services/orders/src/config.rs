//! Section `[orders]`.

use malla_runtime::config;
use malla_storage::database;
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the orders are stored.
    pub database: database::Config,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        self.database.check("orders")
    }
}
