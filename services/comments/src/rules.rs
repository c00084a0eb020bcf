//! What comments look like. Pure.

use email_address::{EmailAddress, Options};
use malla_runtime::status::Invalid;

/// Longest address that can be sent to (RFC 5321), in characters.
const EMAIL_CHARS_MAX: usize = 254;
const COMMENT_CHARS_MAX: usize = 4_000;
const CONTENT_ID_CHARS_MAX: usize = 128;

/// A comment that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) email: String,
    pub(crate) comment: String,
    pub(crate) content_id: String,
}

impl Draft {
    /// Checks a comment; it is stored as it came, white space included.
    pub(crate) fn new(email: String, comment: String, content_id: String) -> Result<Self, Invalid> {
        // "Ana <ana@example.com>" is a mailbox of a mail's header, not an address.
        let options = Options::default().without_display_text();
        if email.chars().count() > EMAIL_CHARS_MAX || EmailAddress::parse_with_options(&email, options).is_err() {
            let description = "must be an e-mail address of at most 254 characters".into();
            return Err(Invalid { field: "email", description });
        }
        if comment.trim().is_empty() || !storable(&comment, COMMENT_CHARS_MAX) {
            let description = "must be 1 to 4000 characters, not only white space, without NUL".into();
            return Err(Invalid { field: "comment", description });
        }
        self::content_id(&content_id)?;
        Ok(Self { email, comment, content_id })
    }
}

/// Checks the id of a content.
pub(crate) fn content_id(id: &str) -> Result<(), Invalid> {
    if id.is_empty() || !storable(id, CONTENT_ID_CHARS_MAX) {
        let description = "must be 1 to 128 characters, without NUL".into();
        return Err(Invalid { field: "content_id", description });
    }
    Ok(())
}

/// The position of the comment that a watch goes on from, by its id; an empty one is none.
pub(crate) fn position(id: &str) -> Result<Option<i64>, Invalid> {
    if id.is_empty() {
        return Ok(None);
    }
    let position = id.parse().ok().filter(|position| *position >= 0);
    let description = || "must be the id of a comment, or 0 for all there are".into();
    position.map(Some).ok_or_else(|| Invalid { field: "after_id", description: description() })
}

/// PostgreSQL cannot store NUL in a text.
fn storable(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.contains('\0')
}

#[cfg(test)]
mod tests;
