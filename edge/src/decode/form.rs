//! Forms with files: what a `multipart/form-data` body is to a call. Text is like a query's, JSON like a body's, and files
//! go into `bytes`, `google.api.HttpBody` or a stream.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use form_urlencoded::Serializer;
use malla_transcode::VIOLATIONS_MAX;
use serde_json::value::RawValue;

use super::body::{Chunks, Gathered};
use super::multipart::{Multipart, Part};
use super::stream::{PIECE_BYTES_MAX, PIECE_BYTES_MIN, Piece, Sequence, Source, Upload};
use super::{Messages, Pieces};
use crate::buffered::Buffered;
use crate::codec::{self, Input, Payload, RequestPlan, Violation};
use crate::rejection::Rejection;

/// What the parts of a form come to.
#[derive(Default)]
struct Form {
    /// Name and value of each text.
    texts: Vec<(String, String)>,
    /// Fields of one JSON object.
    json: String,
    /// What files add to the message.
    files: Vec<u8>,
    named: HashSet<String>,
    violations: Vec<Violation>,
}

/// Makes a message of all parts.
///
/// # Errors
/// 400 with field violations.
pub(super) async fn message(plan: &RequestPlan, input: Input<'_>, mut parts: Multipart) -> Result<Bytes, Rejection> {
    let mut form = Form::default();
    while let Some(part) = parts.part().await? {
        let data = parts.whole().await?;
        form.add(plan, part, data);
    }
    let given = |(name, _): &&(String, String)| form.named.contains(name);
    form.violations.extend(form.texts.iter().filter(given).map(|(name, _)| twice(name)));
    if !form.violations.is_empty() {
        form.violations.truncate(VIOLATIONS_MAX);
        return Err(Rejection::violations(form.violations));
    }
    let json = if form.json.is_empty() { String::new() } else { format!("{{{}}}", form.json) };
    let text = Serializer::new(String::new()).extend_pairs(form.texts).finish();
    let payload = Payload::Parts { files: &form.files, json: json.as_bytes(), form: text.as_bytes() };
    codec::decode(plan, input, payload).map_err(Rejection::violations)
}

impl Form {
    fn add(&mut self, plan: &RequestPlan, part: Part, data: Bytes) {
        let name = part.name.clone();
        let outcome = match (part.is_text(), part.is_json()) {
            (true, _) => text(&name, &data).map(|text| self.texts.push((name, text))),
            (_, true) => self.json(&name, &data),
            _ => self.file(plan, &name, &part.content_type, &data),
        };
        self.violations.extend(outcome.err());
    }

    fn json(&mut self, name: &str, data: &[u8]) -> Result<(), Violation> {
        // Whole, or its brackets could close those around it.
        let value: &RawValue =
            serde_json::from_slice(data).map_err(|error| Violation::new(name, format!("malformed JSON: {error}")))?;
        if !self.json.is_empty() {
            self.json.push(',');
        }
        self.json.extend([&serde_json::Value::from(name).to_string(), ":", value.get()]);
        if self.named.insert(name.to_owned()) { Ok(()) } else { Err(twice(name)) }
    }

    fn file(&mut self, plan: &RequestPlan, name: &str, content_type: &str, data: &[u8]) -> Result<(), Violation> {
        let repeats = plan.file(name, content_type, data, &mut self.files)?;
        if self.named.insert(name.to_owned()) || repeats { Ok(()) } else { Err(twice(name)) }
    }
}

/// Uploads the form's one file. Fields before it bind like a query's.
///
/// # Errors
/// 400 with field violations, also when there is no file.
pub(super) async fn upload(
    plan: &Arc<RequestPlan>,
    streaming: bool,
    input: Input<'_>,
    mut parts: Multipart,
) -> Result<Messages, Rejection> {
    let mut texts = Vec::new();
    let content_type = loop {
        let Some(part) = parts.part().await? else { return Err(Rejection::field("", "the form has no file")) };
        if !part.is_text() {
            break part.content_type;
        }
        let data = parts.whole().await?;
        let text = text(&part.name, &data).map_err(|violation| Rejection::violations(vec![violation]))?;
        texts.push((part.name, text));
    };
    let query = Serializer::new(format!("{}&", input.query)).extend_pairs(texts).finish();
    let mut data = Gathered::new(OneFile(parts));
    let (bytes_min, bytes_max) = if streaming { (PIECE_BYTES_MIN, PIECE_BYTES_MAX) } else { (usize::MAX, usize::MAX) };
    let first = data.piece(bytes_min, bytes_max).await?.unwrap_or_default();
    let payload = Payload::Raw { content_type: &content_type, data: &first };
    let first = codec::decode(plan, Input { query: &query, ..input }, payload).map_err(Rejection::violations)?;
    Ok(match streaming {
        true => Messages::Pieces(Pieces::new(Some(first), Upload { plan: plan.clone(), data })),
        false => Messages::One(first),
    })
}

/// The data of a file, behind which the form ends.
struct OneFile(Multipart);

impl Chunks for OneFile {
    async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        if let Some(data) = self.0.next().await? {
            return Ok(Some(data));
        }
        match self.0.part().await? {
            None => Ok(None),
            Some(part) => Err(Rejection::field(&part.name, "comes after the file, which must be the last part")),
        }
    }

    fn split(&self, ahead: usize) -> Buffered {
        self.0.split(ahead)
    }
}

/// Each part is a message.
pub(super) struct Each {
    pub(super) sequence: Sequence,
    pub(super) parts: Multipart,
}

impl Source for Each {
    async fn next(&mut self) -> Result<Option<Piece>, Rejection> {
        if self.parts.part().await?.is_none() {
            return Ok(None);
        }
        let data = self.parts.whole().await?;
        Ok(Some((self.sequence.message(Payload::Json(&data))?, self.parts.split(0))))
    }
}

fn text(name: &str, data: &[u8]) -> Result<String, Violation> {
    std::str::from_utf8(data).map(str::to_owned).map_err(|_| Violation::new(name, "must be UTF-8"))
}

fn twice(name: &str) -> Violation {
    Violation::new(name, "is given twice")
}
