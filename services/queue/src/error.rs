//! What can go wrong, and what the caller is told of it.

use std::time::Duration;

use malla_runtime::{places, status};
use malla_storage::{database, keyed, redis};
use sea_orm::DbErr;
use tonic::Status;

/// When a client may find room in a full queue.
const ROOM_AFTER: Duration = Duration::from_secs(1);
/// When it may find that a key was forgotten: sweeps are a minute apart.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("the message has {bytes} bytes as JSON; at most {max} are accepted")]
    MessageTooLong { bytes: i64, max: i64 },
    #[error("queue {queue:?} is full: it holds {max} messages")]
    QueueFull { queue: String, max: i64 },
    #[error(
        "queue {queue:?} remembers {max} idempotency keys of the last 24 hours already; push without one, or later"
    )]
    TooManyKeys { queue: String, max: i64 },
    #[error("queue {queue:?} cannot be opened: {max} queues hold messages already")]
    TooManyQueues { queue: String, max: i64 },
    // After the first line: whose it is.
    #[error("idempotency key {:?} was used for another message; use a new key", key.lines().next().unwrap_or_default())]
    KeyReused { key: String },
    #[error("the idempotency key was forgotten just now; try again")]
    KeySwept,
    #[error("the receipt does not hold message {id:?}, or its lease has ended; receive the message again")]
    Stale { id: String },
    #[error("too many streams of messages: {0}; receive, or come again later")]
    TooManySubscribers(#[from] places::Full),
    #[error("the service is stopping; subscribe again")]
    Draining,
    #[error("the store does not answer")]
    Unreachable(#[source] DbErr),
    #[error("a stored message cannot be read")]
    Unreadable(#[from] prost::DecodeError),
    #[error("store: {0}")]
    Store(#[from] DbErr),
    #[error("the store does not answer")]
    Redis(#[from] redis::Error),
    #[error("the store's answer to {0} cannot be read")]
    Answer(&'static str),
    #[error(
        "the message is stored, but too few replicas have said so in time; whether it outlives the store is not known"
    )]
    Unreplicated,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(invalid) => invalid.into(),
            // No time to come again: the same message will never fit.
            Error::MessageTooLong { .. } => Self::resource_exhausted(error.to_string()),
            Error::QueueFull { .. } | Error::TooManyQueues { .. } | Error::TooManySubscribers(_) => {
                status::exhausted(error.to_string(), ROOM_AFTER)
            }
            Error::TooManyKeys { .. } => status::exhausted(error.to_string(), FORGOTTEN_AFTER),
            Error::KeyReused { .. } => keyed::reused(error.to_string()),
            Error::Stale { .. } => Self::failed_precondition(error.to_string()),
            Error::Unreachable(_) | Error::Unreplicated | Error::Draining | Error::KeySwept => {
                status::unavailable(error.to_string(), ROOM_AFTER)
            }
            Error::Unreadable(_) | Error::Answer(_) => status::internal(&error),
            Error::Redis(cause) => redis::status(&cause),
            Error::Store(error) => database::status(&error),
        }
    }
}
