//! What can go wrong, and what the caller is told of it.

use std::io;

use malla_runtime::status;
use tonic::Status;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("files: {0}")]
    Io(#[from] io::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::Io(error) => status::internal(&error),
        }
    }
}
