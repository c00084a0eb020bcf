//! `multipart/form-data` (RFC 7578), read part by part as it comes.

use std::borrow::Cow;

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use memchr::memmem;
use tonic::{Code, Status};

use super::body::{BodyReader, Chunks};
use crate::buffered::Buffered;
use crate::elements::essence;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

const PARTS_MAX: usize = 1_000;
const PART_HEAD_BYTES_MAX: usize = 8 << 10;
const PART_HEAD_END: &[u8] = b"\r\n\r\n";
/// RFC 2046 5.1.1.
const BOUNDARY_CHARS_MAX: usize = 70;

/// A body in parts. The data of the present one are its [`Chunks`].
#[derive(Debug)]
pub(super) struct Multipart {
    reader: BodyReader,
    /// Of a part that is read whole.
    part_bytes_max: u64,
    /// What stands before each part: line end, two dashes, boundary.
    delimiter: Vec<u8>,
    ahead: BytesMut,
    parts: usize,
    ended: bool,
}

/// What a part says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Whether it names a file.
    pub(super) is_file: bool,
    /// Empty when not given.
    pub(super) content_type: String,
}

impl Part {
    pub(super) fn is_json(&self) -> bool {
        let essence = essence(&self.content_type);
        !self.is_file && (essence == "application/json" || essence.ends_with("+json"))
    }

    pub(super) fn is_text(&self) -> bool {
        !self.is_file && matches!(&*essence(&self.content_type), "" | "text/plain")
    }
}

impl Multipart {
    /// # Errors
    /// 400 for a content type without a boundary.
    pub(super) fn new(content_type: &str, reader: BodyReader, part_bytes_max: u64) -> Result<Self, Rejection> {
        let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty());
        let boundary = boundary.filter(|boundary| boundary.len() <= BOUNDARY_CHARS_MAX);
        let boundary = boundary.ok_or_else(|| malformed("its content type has no boundary"))?;
        // As if a line had ended before: the first delimiter is then like the others.
        let ahead = BytesMut::from(&b"\r\n"[..]);
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Ok(Self { reader, part_bytes_max, delimiter, ahead, parts: 0, ended: false })
    }

    /// Goes on to the next part, past what is left of the present one; `None` behind the last.
    ///
    /// # Errors
    /// 400 for what is malformed; too many parts; too long heads of them.
    pub(super) async fn part(&mut self) -> Result<Option<Part>, Rejection> {
        while self.next().await?.is_some() {}
        if self.ended {
            return Ok(None);
        }
        self.ahead.advance(self.delimiter.len());
        self.at_least(2).await?;
        if self.ahead.starts_with(b"--") {
            self.ended = true;
            return Ok(None);
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(malformed(&format!("it has more than {PARTS_MAX} parts")));
        }
        let mut seen = 0;
        let end = loop {
            match memmem::find(&self.ahead[seen..], PART_HEAD_END).map(|at| seen + at) {
                Some(end) if end <= PART_HEAD_BYTES_MAX => break end,
                None if self.ahead.len() < PART_HEAD_BYTES_MAX + PART_HEAD_END.len() => {
                    seen = self.ahead.len().saturating_sub(PART_HEAD_END.len() - 1);
                    self.at_least(self.ahead.len() + 1).await?;
                }
                _ => return Err(malformed("a part's head is too long")),
            }
        };
        let head = self.ahead.split_to(end);
        self.ahead.advance(PART_HEAD_END.len());
        head_of(&head).map(Some)
    }

    /// All data of the present part.
    ///
    /// # Errors
    /// As [`Chunks::next`]; 413 for a part that is too large.
    pub(super) async fn whole(&mut self) -> Result<Bytes, Rejection> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.next().await? {
            whole.extend_from_slice(&data);
            if whole.len() as u64 > self.part_bytes_max {
                let message = format!("a part is larger than {} bytes", self.part_bytes_max);
                return Err(Rejection::http(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message));
            }
        }
        Ok(whole.freeze())
    }

    async fn at_least(&mut self, bytes: usize) -> Result<(), Rejection> {
        while self.ahead.len() < bytes {
            let data = self.reader.next().await?.ok_or_else(|| malformed("it ends before its last boundary"))?;
            self.ahead.extend_from_slice(&data);
        }
        Ok(())
    }
}

impl Chunks for Multipart {
    async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        while !self.ended {
            let certain = match memmem::find(&self.ahead, &self.delimiter) {
                Some(0) => return Ok(None),
                Some(at) => at,
                // The rest may be the beginning of a delimiter.
                None => (self.ahead.len() + 1).saturating_sub(self.delimiter.len()),
            };
            if certain > 0 {
                return Ok(Some(self.ahead.split_to(certain).freeze()));
            }
            self.at_least(self.ahead.len() + 1).await?;
        }
        Ok(None)
    }

    fn split(&self, ahead: usize) -> Buffered {
        self.reader.split(ahead + self.ahead.len())
    }
}

/// Reads a part's head; what comes before its first line end belongs to the delimiter.
fn head_of(head: &[u8]) -> Result<Part, Rejection> {
    let text = std::str::from_utf8(head).map_err(|_| malformed("a part's head is not UTF-8"))?;
    let mut lines = text.split("\r\n");
    if lines.next().is_none_or(|rest| !rest.trim_matches([' ', '\t']).is_empty()) {
        return Err(malformed("a boundary is followed by something else"));
    }
    let header = |wanted: &str| {
        let mut headers = lines.clone().filter_map(|line| line.split_once(':'));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let is_identity = |coding: &str| ["7bit", "8bit", "binary"].iter().any(|known| coding.eq_ignore_ascii_case(known));
    if header("content-transfer-encoding").is_some_and(|coding| !is_identity(coding)) {
        return Err(malformed("parts may not have a Content-Transfer-Encoding"));
    }
    let disposition = header("content-disposition").filter(|value| essence(value) == "form-data").unwrap_or_default();
    let name = parameter(disposition, "name").ok_or_else(|| malformed("a part has no name"))?;
    let content_type = header("content-type").unwrap_or_default().to_owned();
    Ok(Part { name: unescaped(&name), is_file: parameter(disposition, "filename").is_some(), content_type })
}

/// What browsers escape in names (HTML, 4.10.21.8).
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// A parameter of a header's value: a token, or a string in quotes.
fn parameter<'v>(value: &'v str, wanted: &str) -> Option<Cow<'v, str>> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let value: Cow<'_, str>;
        (value, rest) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => string(quoted)?,
            None => {
                let (token, rest) = after.split_once(';').unwrap_or((after, ""));
                (token.trim().into(), rest)
            }
        };
        if name.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
    }
}

/// The string up to its closing quote, and what follows it. Browsers leave backslashes as they are (HTML, 4.10.21.8), other
/// clients put them before quotes: so one that could as well be the last character of the string is that.
fn string(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut text = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"')?;
        rest = after;
        match before.strip_suffix('\\').filter(|_| !is_end(after)) {
            Some(escaping) => text.extend([escaping, "\""]),
            None => return Some(((text + before).into(), rest)),
        }
    }
}

/// Whether a string ends before this: nothing follows, or a parameter.
fn is_end(rest: &str) -> bool {
    let rest = rest.trim_start();
    let name = rest.strip_prefix(';').and_then(|rest| rest.split_once('=')).map(|(name, _)| name.trim());
    let is_token =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*'));
    rest.is_empty() || name.is_some_and(|name| !name.is_empty() && is_token(name))
}

fn malformed(problem: &str) -> Rejection {
    Rejection::new(Status::invalid_argument(format!("malformed multipart/form-data: {problem}")))
}
