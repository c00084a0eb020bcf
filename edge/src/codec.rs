//! Between HTTP's spellings of a message (JSON, query, form, path) and its protobuf bytes.
//!
//! The rest of the edge sees bytes on both sides and never a message: [`RequestPlan`] and [`ResponsePlan`], compiled
//! once for each binding, are all there is to call, so what is behind them can be replaced. Today that is
//! prost-reflect's dynamic messages.

mod details;
mod fields;
mod http_body;
mod json;
mod params;
mod request;
mod response;
mod scalar;
mod shape;
mod tree;

pub(crate) use details::Details;
pub(crate) use http_body::HttpBody;
pub(crate) use request::{Input, Payload, RequestPlan, Spec};
pub(crate) use response::{Output, ResponsePlan};

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The field's path; empty when it is not about one field.
    pub(crate) field: String,
    /// What is wrong and what would be right.
    pub(crate) description: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() {
            return formatter.write_str(&self.description);
        }
        write!(formatter, "{}: {}", self.field, self.description)
    }
}
