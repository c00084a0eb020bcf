//! Opening a service's own database through SeaORM.
//!
//! SQLite in the data dir is the default: one file per service, write-ahead log, `synchronous=FULL`, so that what
//! was acknowledged survives a crash of the process and of the machine.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait;
use serde::{Deserialize, Serialize};

use crate::config::{self, Secret};
use crate::module::{Context, Probe, StartError};

/// Subsection `database` of a service's section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `sqlite://path?mode=rwc`. Empty: a file named after the service in the data dir.
    pub url: Secret,
    /// Connections of the pool: 1 to 100. Default 8.
    pub connections_max: u32,
    /// How long a call waits for a connection of the pool: 1 to 60000. Default 3000.
    pub acquire_ms: u64,
    /// How long a statement waits for another's lock: 1 to 60000. Default 5000.
    pub lock_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: Secret::default(), connections_max: 8, acquire_ms: 3_000, lock_ms: 5_000 }
    }
}

impl Config {
    /// Checks what types cannot. `service` is the section's name.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] for the first value that cannot be used.
    pub fn check(&self, service: &str) -> Result<(), config::Error> {
        if !self.url.is_empty() && !self.url.expose().starts_with("sqlite:") {
            let expected = "it may be sqlite://path?mode=rwc, or empty for a file in the data dir";
            return Err(config::Error::invalid(format!("{service}.database.url"), "***", expected));
        }
        let ranges = [
            ("connections_max", self.connections_max.into(), 1..=100),
            ("acquire_ms", self.acquire_ms, 1..=60_000),
            ("lock_ms", self.lock_ms, 1..=60_000),
        ];
        config::check_ranges(&format!("{service}.database"), ranges)
    }
}

/// A service's database, open and migrated; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// For reads and single statements.
    pub connection: DatabaseConnection,
    /// Where it is, for people: `sqlite data/orders.db`.
    pub place: String,
}

impl Store {
    /// Opens the database of `service` and applies the migrations it lacks.
    ///
    /// # Errors
    /// When the database cannot be opened or migrated; the text names it.
    pub async fn open<M: MigratorTrait>(service: &str, config: &Config, context: &Context) -> Result<Self, StartError> {
        let (url, place) = if config.url.is_empty() {
            let file = context.data_dir.join(format!("{service}.db"));
            (format!("sqlite://{}?mode=rwc", file.display()), format!("sqlite {}", file.display()))
        } else {
            (config.url.expose().to_owned(), "sqlite (by database.url)".to_owned())
        };
        let lock = Duration::from_millis(config.lock_ms);
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(config.connections_max)
            .acquire_timeout(Duration::from_millis(config.acquire_ms))
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(move |options| {
                options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).busy_timeout(lock)
            });
        let fail = |error: DbErr| format!("{place} cannot be opened: {error}");
        let connection = Database::connect(options).await.map_err(fail)?;
        M::up(&connection, None).await.map_err(fail)?;
        Ok(Self { connection, place })
    }

    /// Begins a transaction that means to write. It takes the write lock at once: a transaction that reads first
    /// and writes later fails in SQLite when another wrote in between, however long it may wait.
    ///
    /// # Errors
    /// [`DbErr`] when the lock was not to be had in time.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.connection.begin_with_options(options).await
    }

    /// Tells whether the database still answers.
    #[must_use]
    pub fn probe(&self) -> Probe {
        let connection = self.connection.clone();
        Box::new(move || {
            let connection = connection.clone();
            Box::pin(async move { connection.ping().await.is_ok() })
        })
    }
}

/// Tells the time as [`now_ms`] does; a test's own tells what the test wants.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Milliseconds since 1970: how times are stored.
#[must_use]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A stored time as protobuf has it.
#[must_use]
pub fn timestamp(ms: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    prost_types::Timestamp { seconds: ms.div_euclid(1_000), nanos }
}

/// The status of a call that the store failed: UNAVAILABLE when it can be tried again, else INTERNAL, with the
/// cause in the log only.
#[must_use]
pub fn status(error: &DbErr) -> tonic::Status {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) || is_locked(error) {
        tracing::warn!(%error, "the store is not available");
        return crate::status::unavailable("the store is not available", Duration::from_secs(1));
    }
    crate::status::internal(error)
}

/// Whether a statement waited for another's lock longer than `lock_ms`.
fn is_locked(error: &DbErr) -> bool {
    const SQLITE_BUSY: &str = "database is locked";
    error.to_string().contains(SQLITE_BUSY)
}
