//! What can go wrong, and what the caller is told of it.

use malla_runtime::status;
use malla_storage::database;
use sea_orm::DbErr;
use tonic::Status;

use crate::rules::RULES_MAX;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("no product has the SKU {0:?}")]
    UnknownProduct(String),
    #[error("no rule of this product has the id {0:?}")]
    UnknownRule(String),
    #[error("the product already has {RULES_MAX} rules, and that is the most")]
    TooManyRules,
    #[error("no city {city:?} is known in country {country:?}")]
    UnknownCity { country: String, city: String },
    #[error("sales are not open in {city:?}, {country:?}")]
    Closed { country: String, city: String },
    #[error("availability failed: {0}")]
    Availability(Status),
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::UnknownProduct(_) | Error::UnknownRule(_) | Error::UnknownCity { .. } => Self::not_found(text),
            Error::TooManyRules | Error::Closed { .. } => Self::failed_precondition(text),
            Error::Availability(ref status) => status::neighbour("availability", status),
            Error::Store(error) => database::status(&error),
        }
    }
}
