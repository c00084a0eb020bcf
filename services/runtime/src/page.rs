//! Pages of lists: the size a client may ask for and the opaque token of the next page.

use tonic::Status;

use crate::status::invalid;

/// What the rows of a page may weigh together. gRPC clients refuse messages above 4 MiB unless told otherwise; the
/// rest is for what is around the rows.
pub const BYTES_MAX: usize = 3 << 20;

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
    parsed_key(token, |key| Some(key.to_owned()))
}

/// As [`key`], for keys that are not text.
///
/// # Errors
/// As [`key`], and when `parse` does not know the key.
pub fn parsed_key<T>(token: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    bytes
        .and_then(|bytes| parse(&String::from_utf8(bytes).ok()?))
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

/// How many rows, by their weights in bytes, go into one message: at least one. For [`cut`], where rows can be big.
pub fn fitting(weights_bytes: impl IntoIterator<Item = usize>) -> u32 {
    let mut sum = 0_usize;
    let fits = |bytes: &usize| {
        sum = sum.saturating_add(*bytes);
        sum <= BYTES_MAX
    };
    let count = weights_bytes.into_iter().take_while(fits).count().max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
