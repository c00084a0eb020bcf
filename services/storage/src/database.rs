//! Opening a service's own database through SeaORM.
//!
//! SQLite in the data dir is the default: one file per service, write-ahead log, `synchronous=FULL`, so that what
//! was acknowledged survives a crash of the process and of the machine. PostgreSQL by `database.url`: a schema per
//! service, in one database or in many.

mod config;
mod open;
mod status;
mod transaction;

use std::sync::Arc;

use sea_orm::{ConnectionTrait as _, DatabaseBackend, DbErr};

use malla_runtime::module::Probe;

pub use config::Config;
pub use status::status;
pub use transaction::{Connection, Transaction};
pub(crate) use transaction::{Scope, Writing, whole};

/// A service's database, open and migrated; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// For reads and single statements.
    pub connection: Connection,
    /// Where it is, for people: `sqlite data/orders.db`, `postgres db.example:5432/malla schema orders`.
    pub place: String,
}

impl Store {
    /// Begins a transaction that means to write. It takes the write lock at once: a transaction that reads first
    /// and writes later fails in SQLite when another wrote in between, however long it may wait.
    ///
    /// # Errors
    /// [`DbErr`] when the lock was not to be had in time.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        self.connection.begin().await
    }

    /// Does something once what this call has written can be seen by others: at once, or, in a keyed call, when that
    /// has been answered well. For what is kept outside the database.
    pub async fn afterwards(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.connection.afterwards(Box::pin(work)).await;
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

/// Makes transactions that call this take turns, each until its end: for writes that depend on what is not there yet, so
/// that no row can be locked. Different services do not wait for each other.
///
/// # Errors
/// [`DbErr`] when it was not this one's turn within `lock_ms`.
pub async fn take_turns(transaction: &Transaction) -> Result<(), DbErr> {
    // SQLite has one writer at a time anyway.
    if transaction.get_database_backend() == DatabaseBackend::Postgres {
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended(current_setting('search_path'), 0))";
        transaction.execute_unprepared(lock).await?;
    }
    Ok(())
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

#[cfg(test)]
mod tests;
