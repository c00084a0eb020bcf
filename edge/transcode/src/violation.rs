//! One thing that is wrong with what a client sent.

use serde::Serialize;

/// How many violations one request reports at most; what comes after is not looked for.
pub const VIOLATIONS_MAX: usize = 32;

/// Most bytes of a violation's texts. Clients' own names and values are in them, as often as there are violations.
const TEXT_BYTES_MAX: usize = 512;

/// What is wrong with a value that the path has too.
pub(crate) const DIFFERS: &str = "differs from the value in the path; leave it out";

/// One thing that is wrong with a request, as `google.rpc.BadRequest.FieldViolation` says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The field as the client wrote it: a path into the request (`items[3].name`, whichever part of it the body is) or
    /// a query parameter. Empty when it is not about one field.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

impl Violation {
    /// A violation of `field`; empty for the request as a whole. What is long of either is cut.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: cut(field.into()), description: cut(description.into()) }
    }

    /// The same of what lies within this field, or parameter.
    pub(crate) fn within(self, outer: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{outer}{dot}{}", self.field), ..self }
    }
}

fn cut(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    format!("{}...", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() {
            return formatter.write_str(&self.description);
        }
        write!(formatter, "{}: {}", self.field, self.description)
    }
}
