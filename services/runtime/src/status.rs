//! Statuses with the details clients can act on (`google.rpc.BadRequest`, `ErrorInfo`, `RetryInfo`).

use std::borrow::Cow;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// How much of a client's text an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// A field of a request that cannot be used, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct Invalid {
    /// The field as the contract names it.
    pub field: &'static str,
    /// What it may be.
    pub description: Cow<'static, str>,
}

impl From<Invalid> for Status {
    fn from(Invalid { field, description }: Invalid) -> Self {
        invalid(field, description)
    }
}

/// The beginning of what a client asked for, to be repeated in an error: it may be of any length, a status travels
/// in a header and may not.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// INVALID_ARGUMENT that names the field and says what it may be.
#[must_use]
pub fn invalid(field: &str, description: impl Into<String>) -> Status {
    let description = description.into();
    let message = format!("{field}: {description}");
    Status::with_error_details(
        Code::InvalidArgument,
        message,
        ErrorDetails::with_bad_request_violation(field, description),
    )
}

/// UNAVAILABLE that says when to come again.
#[must_use]
pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> Status {
    Status::with_error_details(Code::Unavailable, message, ErrorDetails::with_retry_info(Some(retry_after)))
}

/// RESOURCE_EXHAUSTED that says when to come again.
#[must_use]
pub fn exhausted(message: impl Into<String>, retry_after: Duration) -> Status {
    Status::with_error_details(Code::ResourceExhausted, message, ErrorDetails::with_retry_info(Some(retry_after)))
}

/// What a caller is told when a service that was needed failed: whether to come again, not why.
#[must_use]
pub fn neighbour(service: &str, status: &Status) -> Status {
    const RETRY_AFTER: Duration = Duration::from_secs(1);
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => unavailable(format!("{service} is not available"), RETRY_AFTER),
        Code::DeadlineExceeded => Status::deadline_exceeded(format!("{service} did not answer in time")),
        _ => internal(status),
    }
}

/// INTERNAL for the client, with the cause in the log only.
#[must_use]
pub fn internal(cause: &dyn std::error::Error) -> Status {
    let mut causes = cause.to_string();
    let mut source = cause.source();
    while let Some(next) = source {
        causes = format!("{causes}: {next}");
        source = next.source();
    }
    tracing::error!(error = %causes, "a call failed inside the service");
    Status::internal("internal error")
}
