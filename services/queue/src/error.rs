//! What can go wrong, and what the caller is told of it.

use std::time::Duration;

use malla_runtime::{database, status};
use sea_orm::DbErr;
use tonic::Status;

/// When a client may find room in a full queue.
const ROOM_AFTER: Duration = Duration::from_secs(1);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("the message has {bytes} bytes as JSON; at most {max} are accepted")]
    MessageTooLong { bytes: i64, max: i64 },
    #[error("queue {queue:?} is full: it holds {max} messages")]
    QueueFull { queue: String, max: i64 },
    #[error("queue {queue:?} cannot be opened: {max} queues hold messages already")]
    TooManyQueues { queue: String, max: i64 },
    #[error("idempotency key {key:?} was used for another message; use a new key")]
    KeyReused { key: String },
    #[error("the receipt does not hold message {id:?}, or its lease has ended; receive the message again")]
    Stale { id: String },
    #[error("the store does not answer")]
    Unreachable(#[source] DbErr),
    #[error("a stored message cannot be read")]
    Unreadable(#[from] prost::DecodeError),
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(invalid) => invalid.into(),
            // No time to come again: the same message will never fit.
            Error::MessageTooLong { .. } => Self::resource_exhausted(error.to_string()),
            Error::QueueFull { .. } | Error::TooManyQueues { .. } => status::exhausted(error.to_string(), ROOM_AFTER),
            Error::KeyReused { .. } => Self::already_exists(error.to_string()),
            Error::Stale { .. } => Self::failed_precondition(error.to_string()),
            Error::Unreachable(_) => status::unavailable(error.to_string(), ROOM_AFTER),
            Error::Unreadable(_) => status::internal(&error),
            Error::Store(error) => database::status(&error),
        }
    }
}
