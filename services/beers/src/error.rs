//! What can go wrong, and what the caller is told of it.

use malla_runtime::status;
use malla_storage::database;
use sea_orm::DbErr;
use tonic::Status;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("no beer has the SKU {0:?}")]
    UnknownBeer(String),
    #[error("another beer has the SKU {0:?} already")]
    TakenSku(String),
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::UnknownBeer(_) => Self::not_found(error.to_string()),
            Error::TakenSku(_) => Self::already_exists(error.to_string()),
            Error::Store(error) => database::status(&error),
        }
    }
}
