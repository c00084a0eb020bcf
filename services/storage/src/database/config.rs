//! Where a service's database is, and its limits.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use serde::{Deserialize, Serialize};

use malla_runtime::config::{self, Secret};

/// Subsection `database` of a service's section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://user:password@host/database?sslmode=verify-full` or `sqlite://path?mode=rwc`. Empty: an SQLite file
    /// named after the service in the data dir.
    pub url: Secret,
    /// PostgreSQL: the schema of the service's tables, made if it does not exist. Lower-case letters, digits and `_`, up
    /// to 63. Empty: the service's name, so that all services can share one database.
    pub schema: String,
    /// Connections of the pool: 1 to 100. Default 8.
    pub connections_max: u32,
    /// How long a call waits for a connection of the pool: 1 to 60000. Default 3000.
    pub acquire_ms: u64,
    /// How long a statement waits for another's lock: 1 to 60000. Not set: 5000 on SQLite, where all writers wait for each
    /// other; 1000 on PostgreSQL, where only those of the same rows do.
    pub lock_ms: Option<u64>,
    /// PostgreSQL: how long a statement may take, with its waiting for locks: 1 to 600000. Default 3000.
    pub statement_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        let (url, schema) = Default::default();
        Self { url, schema, connections_max: 8, acquire_ms: 3_000, lock_ms: None, statement_ms: 3_000 }
    }
}

impl Config {
    /// Checks what types cannot. `service` is the section's name.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] for the first value that cannot be used.
    pub fn check(&self, service: &str) -> Result<(), config::Error> {
        let section = format!("{service}.database");
        // What is wrong is said without the URL: there may be a password in it.
        let problem = match self.url.expose() {
            "" => None,
            url if url.starts_with("sqlite:") => url.parse::<SqliteConnectOptions>().err(),
            url if is_postgres(url) => url.parse::<PgConnectOptions>().err(),
            _ => Some(sea_orm::SqlxError::Configuration("it begins with neither postgres:// nor sqlite:".into())),
        };
        if let Some(problem) = problem {
            let expected = format!(
                "it may be postgres://user:password@host/database, sqlite://path?mode=rwc, or empty for a file in the data \
                 dir: {problem}"
            );
            return Err(config::Error::invalid(format!("{section}.url"), "***", expected));
        }
        let schema = self.schema(service);
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_number = schema.starts_with(|first: char| first.is_ascii_digit());
        if schema.len() > 63 || is_number || schema.starts_with("pg_") || !schema.bytes().all(is_plain) {
            let expected =
                "it may be up to 63 lower-case letters, digits and _, and begin with neither a digit nor pg_";
            return Err(config::Error::invalid(format!("{section}.schema"), schema, expected));
        }
        let ranges = [
            ("connections_max", self.connections_max.into(), 1..=100),
            ("acquire_ms", self.acquire_ms, 1..=60_000),
            ("lock_ms", self.lock_ms.unwrap_or(1), 1..=60_000),
            ("statement_ms", self.statement_ms, 1..=600_000),
        ];
        config::check_ranges(&section, ranges)
    }

    /// The schema of a service's tables.
    pub(super) fn schema<'a>(&'a self, service: &'a str) -> &'a str {
        if self.schema.is_empty() { service } else { &self.schema }
    }

    /// How long a statement waits for another's lock.
    pub(super) fn lock(&self) -> Duration {
        let default = if is_postgres(self.url.expose()) { 1_000 } else { 5_000 };
        Duration::from_millis(self.lock_ms.unwrap_or(default))
    }
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
