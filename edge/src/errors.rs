//! What an error looks like over HTTP: one of three bodies, all of the same status and with all of its details.

use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use tonic::Status;

use crate::codec::Details;
use crate::config::Errors;
use crate::status;

#[cfg(test)]
mod tests;

/// Writes errors as a route has them, or the edge where there is no route.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) details: Details,
    pub(crate) style: Errors,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Error<'s> {
    Status { code: i32, message: &'s str, details: Vec<Box<RawValue>> },
    Aip193 { code: u16, message: &'s str, status: &'s str, details: Vec<Box<RawValue>> },
    // No `type`: it is about:blank then, and the title that of the HTTP status (RFC 9457 4.2.1).
    Problem { title: &'s str, status: u16, detail: &'s str, code: &'s str, details: Vec<Box<RawValue>> },
}

#[derive(Serialize)]
struct Enveloped<'s> {
    error: Error<'s>,
}

impl Writer {
    /// The body of an answer that is an error.
    pub(crate) fn body(&self, status: &Status, http: StatusCode) -> Vec<u8> {
        let error = self.error(status, http);
        let written = match error {
            Error::Aip193 { .. } => serde_json::to_vec(&Enveloped { error }),
            error => serde_json::to_vec(&error),
        };
        written.unwrap_or_default()
    }

    /// The last element of a stream that failed: `{"error": ...}` in each style.
    pub(crate) fn element(&self, status: &Status) -> Vec<u8> {
        let error = self.error(status, status::http_of(status.code()));
        serde_json::to_vec(&Enveloped { error }).unwrap_or_default()
    }

    pub(crate) fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self.style {
            Errors::Status | Errors::Aip193 => "application/json",
            Errors::Problem => "application/problem+json",
        })
    }

    fn error<'s>(&self, status: &'s Status, http: StatusCode) -> Error<'s> {
        let (message, details) = (status.message(), self.details.list(status));
        let name = status::name(status.code());
        match self.style {
            Errors::Status => Error::Status { code: status.code().into(), message, details },
            Errors::Aip193 => Error::Aip193 { code: http.as_u16(), message, status: name, details },
            Errors::Problem => {
                let title = http.canonical_reason().unwrap_or(name);
                Error::Problem { title, status: http.as_u16(), detail: message, code: name, details }
            }
        }
    }
}
