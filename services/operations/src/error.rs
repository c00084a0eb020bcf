//! What can go wrong, and what the caller is told of it.

use std::time::Duration;

use malla_runtime::status;
use malla_storage::{database, keyed};
use sea_orm::DbErr;
use tonic::Status;

/// When a caller that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("return_partial_success is not supported: all operations are in one collection")]
    PartialSuccess,
    #[error("no operation operations/{0} of yours is known; results are kept for a limited time only")]
    Unknown(String),
    #[error("operations/{0} is not done yet; cancel it, or wait for it, before you delete it")]
    NotDone(String),
    #[error("the Idempotency-Key was used for another request; choose a new one")]
    KeyReused,
    #[error("too many calls are kept for later; come again when some have ended")]
    Full,
    #[error("the call cannot be accepted for later at the moment; it was not carried out")]
    NotPromised,
    #[error("the machine has no random numbers")]
    Random,
    #[error("a stored result cannot be read")]
    Unreadable(#[from] prost::DecodeError),
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::PartialSuccess => Self::unimplemented(error.to_string()),
            Error::Unknown(_) => Self::not_found(error.to_string()),
            Error::NotDone(_) => Self::failed_precondition(error.to_string()),
            Error::KeyReused => keyed::reused(error.to_string()),
            Error::Full => status::exhausted(error.to_string(), RETRY_AFTER),
            Error::NotPromised => status::unavailable(error.to_string(), RETRY_AFTER),
            Error::Random | Error::Unreadable(_) => status::internal(&error),
            Error::Store(error) => database::status(&error),
        }
    }
}
