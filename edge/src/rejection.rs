//! The one way a request fails: a gRPC status and the HTTP status that goes with it.
//!
//! Every stage refuses with a [`Rejection`]; `respond` alone turns it into bytes, for whichever lane the request came.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use malla_runtime::link;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::call::of_backend;
use crate::codec::Violation;
use crate::errors::Writer;
use crate::status;

/// The reason (`google.rpc.ErrorInfo`) by which a backend says that an idempotency key came with another request before.
const KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How tonic's servers, with OUT_OF_RANGE, say that a request is over their limit.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// Code, message, details, and the metadata of a backend's error.
    pub(crate) status: Status,
    /// As the status table has it, where HTTP does not know better.
    pub(crate) http: StatusCode,
    /// Headers that belong to this answer: `Allow`, `Retry-After`.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) source: Source,
    /// Who writes its body, where it has a route.
    pub(crate) errors: Option<Arc<Writer>>,
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The edge, for what its client sent or for want of room. Of a stream its backend may have seen the beginning.
    Edge,
    /// A backend: it may have been carried out.
    Backend,
    /// The way to a backend, which was not reached or lost with the answer: it may have been carried out.
    Way,
}

impl Source {
    /// Its name in logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Backend | Self::Way => "backend",
        }
    }
}

impl Rejection {
    /// Closes the connection too: where a request's framing is in doubt, so is where the next one begins.
    pub(crate) fn closing(mut self, version: Version) -> Self {
        if version < Version::HTTP_2 {
            self.push(header::CONNECTION, "close");
        }
        self
    }

    /// Written as its route has it.
    pub(crate) fn written(self, errors: &Arc<Writer>) -> Self {
        Self { errors: Some(errors.clone()), ..self }
    }

    /// A refusal of the edge's own.
    pub(crate) fn new(status: Status) -> Self {
        let mut rejection = Self {
            http: status::http_of(status.code()),
            status,
            headers: Vec::new(),
            source: Source::Edge,
            errors: None,
        };
        if rejection.status.code() == Code::Unauthenticated {
            rejection.push(header::WWW_AUTHENTICATE, "Bearer");
        }
        // As the draft of the Idempotency-Key header has it: 409 is for a call that is being carried out.
        let reason = rejection.status.get_details_error_info().map(|info| info.reason);
        if rejection.status.code() == Code::AlreadyExists && reason.as_deref() == Some(KEY_REUSED) {
            rejection.http = StatusCode::UNPROCESSABLE_ENTITY;
        }
        let retry_delay = rejection.status.get_details_retry_info().and_then(|info| info.retry_delay);
        if let Some(delay) = retry_delay {
            rejection.push(header::RETRY_AFTER, &whole_seconds(delay).to_string());
        }
        rejection
    }

    /// What a backend answered, or what kept it from answering.
    pub(crate) fn backend(status: Status) -> Self {
        Self { source: Source::Backend, ..Self::new(status) }
    }

    /// What a call to a backend failed with.
    pub(crate) fn of_call(status: Status) -> Self {
        let source = if link::is_lost(&status) { Source::Way } else { Source::Backend };
        let mut rejection = Self { source, ..Self::new(of_backend(status)) };
        if rejection.status.code() == Code::OutOfRange && rejection.status.message().starts_with(TOO_LARGE) {
            rejection.http = StatusCode::PAYLOAD_TOO_LARGE;
        }
        rejection
    }

    /// A refusal that HTTP has a status of its own for.
    pub(crate) fn http(http: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { http, ..Self::new(Status::new(code, message)) }
    }

    /// 400 with a field violation for each thing that is wrong.
    pub(crate) fn violations(violations: Vec<Violation>) -> Self {
        let message = violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let fields = violations.into_iter().map(|v| FieldViolation::new(v.field, v.description)).collect::<Vec<_>>();
        let details = ErrorDetails::with_bad_request(fields);
        Self::new(Status::with_error_details(Code::InvalidArgument, message, details))
    }

    /// 400 for one field.
    pub(crate) fn field(field: &str, description: impl Into<String>) -> Self {
        Self::violations(vec![Violation::new(field, description)])
    }

    /// 405 with the methods the path has.
    pub(crate) fn method_not_allowed(method: &str, allow: &str) -> Self {
        let message = format!("{method} is not allowed here; allowed are {allow}");
        let mut rejection = Self::http(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message);
        rejection.push(header::ALLOW, allow);
        rejection
    }

    /// 408 for a body that was not there by the deadline.
    pub(crate) fn too_slow() -> Self {
        let message = "the body did not arrive before the deadline";
        Self::http(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message)
    }

    /// 413.
    pub(crate) fn too_large(limit_bytes: u64) -> Self {
        let message = format!("the body is larger than {limit_bytes} bytes");
        Self::http(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message)
    }

    /// 503 for what the edge has no room for, or no backend yet; `Retry-After` says when to come again.
    pub(crate) fn overloaded(message: &str) -> Self {
        Self::new(malla_runtime::status::unavailable(message, RETRY_AFTER))
    }

    /// 429 for what one client has too much of.
    pub(crate) fn exhausted(message: &str) -> Self {
        Self::new(malla_runtime::status::exhausted(message, RETRY_AFTER))
    }

    /// Adds a header to this answer.
    pub(crate) fn push(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
    }

    /// The same, in the place of one that is there.
    pub(crate) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
    }
}

/// `Retry-After` has whole seconds; coming too early helps nobody.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}
