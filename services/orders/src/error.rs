//! What can go wrong, and what the caller is told of it.

use malla_runtime::status;
use malla_storage::database;
use sea_orm::DbErr;
use tonic::Status;

use crate::basket::{LINES_MAX, QUANTITY_MAX};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("no beer has the SKU {0:?}")]
    UnknownBeer(String),
    #[error("the beer with the SKU {0:?} is not sold any more; remove it from the order")]
    BeerGone(String),
    #[error("no beer with the SKU {0:?} is in the open order")]
    NotInOrder(String),
    #[error("no order of yours has the id {0:?}")]
    UnknownOrder(String),
    #[error("the account of this access token does not exist any more")]
    NoAccount,
    #[error("the open order already holds {0} of this beer, and {QUANTITY_MAX} is the most")]
    LineFull(i32),
    #[error("the open order already holds {LINES_MAX} different beers, and that is the most")]
    OrderFull,
    #[error("the order's total is too large to be written down")]
    TotalTooLarge,
    #[error("the order was changed by other calls all the while; try again")]
    Contended,
    #[error("{service} failed: {status}")]
    Neighbour { service: &'static str, status: Status },
    #[error("{service} answered what cannot be used: {answer}")]
    BadAnswer { service: &'static str, answer: String },
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::UnknownBeer(_) | Error::NotInOrder(_) | Error::UnknownOrder(_) => Self::not_found(text),
            Error::BeerGone(_) | Error::LineFull(_) | Error::OrderFull | Error::TotalTooLarge => {
                Self::failed_precondition(text)
            }
            Error::NoAccount => Self::unauthenticated(text),
            Error::Contended => Self::aborted(text),
            Error::Neighbour { service, ref status } => status::neighbour(service, status),
            Error::BadAnswer { .. } => status::internal(&error),
            Error::Store(error) => database::status(&error),
        }
    }
}
