//! Pages of lists: the size a client may ask for and the opaque token of the next page.

use tonic::Status;

use crate::status::invalid;

/// The number of rows a list call returns: `asked`, or `default` when that is 0.
///
/// # Errors
/// INVALID_ARGUMENT when `asked` is negative or above `max`.
pub fn size(asked: i32, default: u32, max: u32) -> Result<u32, Status> {
    match u32::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) if size <= max => Ok(size),
        _ => Err(invalid("page_size", format!("must be 0 to {max}, was {asked}"))),
    }
}

/// Makes the token that continues after the row with this key. It is opaque to clients, not secret.
#[must_use]
pub fn token(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len() * 2), |mut token, byte| {
        use std::fmt::Write as _;
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// The key inside a token; `None` for the first page.
///
/// # Errors
/// INVALID_ARGUMENT when the token was not made by [`token`].
pub fn key(token: &str) -> Result<Option<String>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Some)
        .ok_or_else(|| invalid("page_token", "is not a next_page_token of this list"))
}

/// Cuts `rows`, read with a limit of `size + 1`, to a page and makes the token of the next one.
pub fn cut<T>(rows: &mut Vec<T>, size: u32, row_key: impl Fn(&T) -> String) -> String {
    let size = size as usize;
    if rows.len() <= size {
        return String::new();
    }
    rows.truncate(size);
    rows.last().map(|last| token(&row_key(last))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
