//! Percent-encoding of paths: decoded exactly once, and only after the path was split into segments.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Why a path cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("has a '%' that is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("is not UTF-8 after percent-decoding")]
    NotUtf8,
}

/// Decodes every escape but, for a value of several segments, `%2F`: there it keeps a slash that is data apart from
/// those that separate segments.
pub(crate) fn decode(raw: &str, keep_slash: bool) -> Result<String, DecodeError> {
    if !raw.contains('%') {
        return Ok(raw.to_owned());
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            decoded.push(bytes[at]);
            at += 1;
            continue;
        }
        match escape(&bytes[at..]).ok_or(DecodeError::BadEscape)? {
            b'/' if keep_slash => decoded.extend_from_slice(&bytes[at..at + 3]),
            byte => decoded.push(byte),
        }
        at += 3;
    }
    String::from_utf8(decoded).map_err(|_| DecodeError::NotUtf8)
}

/// RFC 3986 6.2.2: escapes of unreserved characters decoded, the hexadecimal digits of the others in upper case. Two
/// spellings of one literal become the same text; a bad escape stays as it is.
pub(crate) fn normalise(raw: &str) -> Cow<'_, str> {
    if !raw.contains('%') {
        return Cow::Borrowed(raw);
    }
    let mut normal = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        normal.push_str(&rest[..at]);
        rest = &rest[at..];
        match escape(rest.as_bytes()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => normal.push(char::from(byte)),
            Some(_) => normal.push_str(&rest[..3].to_ascii_uppercase()),
            None => {
                normal.push('%');
                rest = &rest[1..];
                continue;
            }
        }
        rest = &rest[3..];
    }
    normal.push_str(rest);
    Cow::Owned(normal)
}

/// Whether the text starts with a valid escape.
pub(crate) fn is_escape(text: &[u8]) -> bool {
    escape(text).is_some()
}

fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}
