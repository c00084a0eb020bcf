//! What can go wrong, and what the caller is told of it.

use std::time::Duration;

use malla_runtime::status;
use malla_storage::database;
use sea_orm::DbErr;
use tonic::Status;

/// When to come again after the queue for password hashing was full.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("the username {0:?} is taken")]
    UsernameTaken(String),
    #[error("the mail {0:?} is taken")]
    EmailTaken(String),
    #[error("username and password do not fit")]
    WrongLogin,
    #[error("too many failed logins for this username; wait before the next")]
    Throttled(Duration),
    #[error("too many logins or registrations at the same time")]
    Busy,
    #[error("the token is not a valid access token")]
    UnknownToken,
    #[error("there is no such user")]
    UnknownUser,
    #[error("no key to sign tokens with")]
    NoKey,
    #[error("password hash: {0}")]
    Hash(#[from] argon2::password_hash::Error),
    #[error("hashing was cut off")]
    CutOff,
    #[error("no threads to hash on: {0}")]
    Workers(#[source] std::io::Error),
    #[error("token: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::UsernameTaken(_) | Error::EmailTaken(_) => Self::already_exists(text),
            Error::WrongLogin => Self::unauthenticated(text),
            Error::Throttled(wait) => status::exhausted(text, wait),
            Error::Busy => status::exhausted(text, BUSY_RETRY),
            Error::UnknownToken | Error::UnknownUser => Self::not_found(text),
            Error::Store(error) => database::status(&error),
            Error::NoKey | Error::Hash(_) | Error::CutOff | Error::Workers(_) | Error::Token(_) => {
                status::internal(&error)
            }
        }
    }
}
