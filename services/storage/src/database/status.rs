//! What a caller is told when the store fails.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::sqlx::{self, error::DatabaseError};
use sea_orm::{DbErr, RuntimeErr};
use tonic::Status;

use malla_runtime::status;

/// When to come again while the store is not available.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
/// When to come again while the store is full: someone has to make room.
const FULL_RETRY: Duration = Duration::from_secs(60);

/// Why a statement failed, as far as its caller can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The database is away, or others were in the way. Nothing was written, unless the answer to a commit was lost.
    Unavailable,
    /// There is no room left on its disk.
    Full,
    /// PostgreSQL stores no U+0000 in text.
    Text,
    Other,
}

/// The status of a call that the store failed: UNAVAILABLE when it can be tried again, RESOURCE_EXHAUSTED when the
/// store's disk is full, INVALID_ARGUMENT for text that cannot be stored, else INTERNAL; with the cause in the log only.
#[must_use]
pub fn status(error: &DbErr) -> Status {
    match cause(error) {
        Cause::Unavailable => {
            tracing::warn!(%error, "the store is not available");
            status::unavailable("the store is not available", UNAVAILABLE_RETRY)
        }
        Cause::Full => {
            tracing::error!(%error, "the store is full");
            status::exhausted("the store is full", FULL_RETRY)
        }
        Cause::Text => Status::invalid_argument("text may not contain U+0000"),
        Cause::Other => status::internal(error),
    }
}

/// Whether SQLite could not make its disk keep something for good: SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC. PostgreSQL
/// sees to that itself: it ends, and recovers.
pub(super) fn is_unsynced(error: &DbErr) -> bool {
    matches!(by_sqlx(error), Some(sqlx::Error::Database(error)) if matches!(sqlite_code(&**error), Some(1034 | 1290)))
}

fn by_sqlx(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn sqlite_code(error: &dyn DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<SqliteError>()?.code()?.parse().ok()
}

fn cause(error: &DbErr) -> Cause {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) || is_unsynced(error) {
        return Cause::Unavailable;
    }
    let Some(error) = by_sqlx(error) else { return Cause::Other };
    match error {
        sqlx::Error::Database(error) => by_code(&**error),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Cause::Unavailable,
        _ => Cause::Other,
    }
}

fn by_code(error: &dyn DatabaseError) -> Cause {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return by_sqlstate(error.code());
    }
    // The last byte is the primary code: SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL.
    match sqlite_code(error).map(|code| code & 0xFF) {
        Some(5 | 6) => Cause::Unavailable,
        Some(13) => Cause::Full,
        _ => Cause::Other,
    }
}

/// PostgreSQL's manual, appendix A.
fn by_sqlstate(state: &str) -> Cause {
    match state {
        // It shuts down, has crashed, starts up, has no connection left, or is a copy that only reads.
        "57P01" | "57P02" | "57P03" | "53300" | "25006" => Cause::Unavailable,
        // A statement took or waited too long, transactions met; the whole call can be tried again.
        "57014" | "55P03" | "25P03" | "40001" | "40P01" => Cause::Unavailable,
        "53100" => Cause::Full,
        "22021" => Cause::Text,
        _ if state.starts_with("08") => Cause::Unavailable,
        _ => Cause::Other,
    }
}
