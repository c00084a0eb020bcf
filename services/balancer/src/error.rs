//! How a call fails on its way, and what that says about whether it was seen.

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was never handled: there was nobody to send it to, or its connection refused it (RFC 9113 6.8, 8.7).
    #[error("the call was never sent: {0}")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer began before the deadline.
    #[error("no answer before the deadline")]
    Late,
    /// The connection ended before the answer began; the call may have been carried out.
    #[error("the connection was lost: {0}")]
    Lost(#[source] hyper::Error),
}

impl Error {
    /// Sorts what became of a request that was written, or about to be.
    pub(crate) fn of_sent(error: hyper::Error) -> Self {
        if is_refused(&error) { Self::Unreached(error.into()) } else { Self::Lost(error) }
    }
}

/// Whether the server said that it has not looked at a request: REFUSED_STREAM, or a GOAWAY that came before its stream.
fn is_refused(error: &hyper::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            return error.is_remote() && (refused || error.is_go_away());
        }
        cause = error.source();
    }
    false
}
