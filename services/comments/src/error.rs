//! What can go wrong, and what the caller is told of it.

use std::time::Duration;

use malla_runtime::{places, status};
use malla_storage::database;
use sea_orm::DbErr;
use tonic::Status;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("content_id {0} not found")]
    UnknownContent(String),
    #[error("too many watches: {0}")]
    TooManyWatches(#[from] places::Full),
    #[error("comments came faster than they were read; list what was missed, then watch again")]
    TooSlow,
    #[error("shutting down")]
    ShuttingDown,
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        const RETRY: Duration = Duration::from_secs(1);
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::UnknownContent(_) => Self::not_found(error.to_string()),
            Error::TooManyWatches(_) => status::exhausted(error.to_string(), RETRY),
            Error::TooSlow => Self::data_loss(error.to_string()),
            Error::ShuttingDown => status::unavailable(error.to_string(), RETRY),
            Error::Store(error) => database::status(&error),
        }
    }
}
