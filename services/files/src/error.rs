//! What can go wrong, and what the caller is told of it.

use std::io;
use std::time::Duration;

use malla_runtime::{places, status};
use tonic::Status;
use tonic::metadata::MetadataValue;

/// Why a call failed. Texts are paths as the client gave them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(#[from] status::Invalid),
    #[error("there is no file or folder {0:?}")]
    NotFound(String),
    #[error("{0:?} is a folder")]
    IsFolder(String),
    #[error("{0:?} goes through a file as if it were a folder")]
    ThroughFile(String),
    #[error("{0:?} is or goes through a symbolic link or a special file, which are refused")]
    Special(String),
    #[error("the folder {0:?} is not empty")]
    NotEmpty(String),
    #[error("a file may have at most {0} bytes")]
    FileTooLarge(u64),
    #[error("all files together may have at most {0} bytes; delete some first")]
    FolderFull(u64),
    #[error("there may be at most {0} files and folders; delete some first")]
    TooManyFiles(u64),
    #[error("too many uploads: {0}")]
    TooManyUploads(#[from] places::Full),
    #[error("the upload came too slowly: less than {bytes} bytes within {} s", within.as_secs())]
    TooSlow { bytes: usize, within: Duration },
    #[error("files: {0}")]
    Io(#[from] io::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::NotFound(_) => Self::not_found(text),
            Error::IsFolder(_) | Error::ThroughFile(_) | Error::Special(_) | Error::NotEmpty(_) => {
                Self::failed_precondition(text)
            }
            Error::FileTooLarge(_) | Error::FolderFull(_) | Error::TooManyFiles(_) => Self::resource_exhausted(text),
            // Not DEADLINE_EXCEEDED: that would look like a service that hangs.
            Error::TooSlow { .. } => {
                let mut status = Self::aborted(text);
                status.metadata_mut().insert("x-http-code", MetadataValue::from_static("408"));
                status
            }
            Error::TooManyUploads(_) => status::exhausted(text, Duration::from_secs(1)),
            Error::Io(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Self::resource_exhausted("the disk is full")
            }
            Error::Io(error) => status::internal(&error),
        }
    }
}
