//! Percent-encoding of paths (RFC 3986 2.1): decoded exactly once, and only after the path was split into segments.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Which escapes of a path variable stay as they are. A variable of one segment keeps none; for one of several segments
/// the comments of `google/api/http.proto` contradict each other, so it can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Everything is decoded.
    Nothing,
    /// `%2F` stays, so that a slash which is data is told from those between segments. What `HttpRule` says, and what
    /// `fully_decode_reserved_expansion: true` asks for.
    #[default]
    Slash,
    /// All characters that RFC 6570 reserves (`:/?#[]@!$&'()*+,;=`) stay. What `fully_decode_reserved_expansion: false`
    /// asks for.
    Reserved,
}

impl Keep {
    fn keeps(self, byte: u8) -> bool {
        match self {
            Self::Nothing => false,
            Self::Slash => byte == b'/',
            Self::Reserved => b":/?#[]@!$&'()*+,;=".contains(&byte),
        }
    }
}

/// Why a text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not RFC 3986.
    #[error("has a '%' that is not followed by two hexadecimal digits")]
    BadEscape,
    /// Its bytes are no text; a `bytes` field is written as base64, so it is never meant.
    #[error("is not UTF-8 after percent-decoding")]
    NotUtf8,
}

/// Decodes every escape but those to keep. A plus is a plus.
///
/// # Errors
/// A malformed escape, or bytes that are not UTF-8.
pub fn decode(raw: &str, keep: Keep) -> Result<Cow<'_, str>, DecodeError> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            decoded.push(*first);
            rest = after;
            continue;
        }
        match escape(rest).ok_or(DecodeError::BadEscape)? {
            byte if keep.keeps(byte) => decoded.extend_from_slice(&rest[..3]),
            byte => decoded.push(byte),
        }
        rest = &rest[3..];
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| DecodeError::NotUtf8)
}

/// RFC 3986 6.2.2: escapes of unreserved characters decoded, the hexadecimal digits of the others in upper case. Two
/// spellings of one literal become the same bytes; a bad escape stays as it is.
pub(crate) fn normal(raw: &str) -> impl Iterator<Item = u8> {
    let (mut rest, mut digits) = (raw.as_bytes(), 0);
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let byte = match escape(rest) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                rest = &rest[3..];
                return Some(byte);
            }
            Some(_) => {
                digits = 3;
                *first
            }
            None if digits > 0 => first.to_ascii_uppercase(),
            None => *first,
        };
        digits = usize::saturating_sub(digits, 1);
        rest = after;
        Some(byte)
    })
}

/// [`normal`] as text.
pub(crate) fn normalise(raw: &str) -> String {
    String::from_utf8(normal(raw).collect()).expect("only ASCII was replaced, by ASCII")
}

/// Where the first malformed escape stands.
pub(crate) fn malformed(raw: &str) -> Option<usize> {
    raw.match_indices('%').map(|(at, _)| at).find(|at| escape(&raw.as_bytes()[*at..]).is_none())
}

/// The byte that a text begins with, if it begins with a valid escape.
pub(crate) fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}
