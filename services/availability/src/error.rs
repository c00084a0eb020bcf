//! What can go wrong, and what the caller is told of it.

use std::sync::Arc;

use malla_runtime::status;
use malla_storage::database;
use sea_orm::DbErr;
use tonic::Status;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("no city {city:?} is known in country {country:?}")]
    UnknownCity { country: String, city: String },
    #[error("store: {0}")]
    Store(#[from] DbErr),
    /// Of a load that several waited for.
    #[error("{0}")]
    Shared(#[from] Arc<Error>),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        status_of(&error)
    }
}

fn status_of(error: &Error) -> Status {
    match error {
        Error::Invalid(invalid) => invalid.clone().into(),
        Error::UnknownCity { .. } => Status::not_found(error.to_string()),
        Error::Store(error) => database::status(error),
        Error::Shared(error) => status_of(error),
    }
}
