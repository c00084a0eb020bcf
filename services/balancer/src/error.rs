//! How a call fails on its way, and what that says about whether it was seen.

use std::sync::Arc;

use tonic::{Code, Status};

/// Why there is no answer, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was never handled: there was nobody to send it to, or its connection refused it (RFC 9113 6.8, 8.7).
    #[error("the call was never sent: {0}")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer began before the deadline.
    #[error("no answer before the deadline")]
    Late,
    /// The connection ended before the answer did; the call may have been carried out.
    #[error("the connection was lost: {0}")]
    Lost(#[source] hyper::Error),
    /// The call alone was broken off, on a connection that stands; it may have been carried out. As often as not that is its
    /// client's doing: it says nothing of the endpoint.
    #[error("the call was reset: {1}")]
    Reset(Code, #[source] hyper::Error),
}

impl Error {
    /// Sorts what became of a request that was written, or about to be.
    pub(crate) fn of_sent(error: hyper::Error) -> Self {
        if cause(&error).is_some_and(is_refused) { Self::Unreached(error.into()) } else { Self::of_begun(error) }
    }

    /// The same once its answer has begun.
    pub(crate) fn of_begun(error: hyper::Error) -> Self {
        match cause(&error).filter(|cause| cause.is_reset()).and_then(h2::Error::reason) {
            // Its code as gRPC has it (doc/PROTOCOL-HTTP2.md, errors).
            Some(reason) => Self::Reset(Status::from(h2::Error::from(reason)).code(), error),
            None => Self::Lost(error),
        }
    }

    /// What the caller of the service is told. Whatever broke the way to it is the source.
    #[must_use]
    pub fn into_status(self, name: &str) -> Status {
        let mut status = match &self {
            Self::Unreached(_) => Status::unavailable(format!("{name} cannot be reached")),
            Self::Late => return Status::deadline_exceeded(format!("{name} did not answer before the deadline")),
            Self::Lost(_) => Status::unavailable(format!("the connection to {name} was lost")),
            Self::Reset(code, _) => Status::new(*code, format!("the call to {name} was reset")),
        };
        status.set_source(Arc::new(self));
        status
    }
}

/// Whether the server said that it has not looked at a request: REFUSED_STREAM, or a GOAWAY that came before its stream.
fn is_refused(error: &h2::Error) -> bool {
    error.is_remote() && (error.reason() == Some(h2::Reason::REFUSED_STREAM) || error.is_go_away())
}

/// What HTTP/2 says of an error.
fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}
