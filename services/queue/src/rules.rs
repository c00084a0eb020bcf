//! What queues, keys, times and messages look like. Pure.

use std::borrow::Cow;

use aws_lc_rs::digest;
use malla_runtime::status::Invalid;
use prost::Message as _;
use prost_types::Value;
use prost_types::value::Kind;

use crate::error::Error;

/// The queue of calls that name none, as the old ones do.
const QUEUE_DEFAULT: &str = "default";
const QUEUE_CHARS_MAX: usize = 80;
const KEY_CHARS_MAX: usize = 255;
/// Longest lease and longest delay: 12 hours.
const HOLD_MS_MAX: i32 = 43_200_000;
const VISIBILITY_MS_MIN: i32 = 1_000;
const VISIBILITY_MS_DEFAULT: i32 = 30_000;
const RECEIVE_MAX: i32 = 10;
const WAIT_MS_MAX: i32 = 20_000;

/// The name of a queue, or of the default one.
pub(crate) fn queue(name: String) -> Result<String, Error> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    match name.len() {
        0 => Ok(QUEUE_DEFAULT.to_owned()),
        1..=QUEUE_CHARS_MAX if name.chars().all(fits) => Ok(name),
        _ => Err(invalid("queue", "must be 1 to 80 letters, digits, '-', '_' or '.'")),
    }
}

/// An idempotency key, if there is one.
pub(crate) fn key(key: &str) -> Result<Option<&str>, Error> {
    if key.chars().count() > KEY_CHARS_MAX {
        return Err(invalid("idempotency_key", "must have at most 255 characters"));
    }
    Ok(Some(key).filter(|key| !key.is_empty()))
}

/// How many messages to lease; 1 when not said.
pub(crate) fn count(max_messages: i32) -> Result<u64, Error> {
    within("max_messages", max_messages, 0, RECEIVE_MAX).map(|count| count.max(1).unsigned_abs())
}

/// How long a message stays unready, in milliseconds.
pub(crate) fn delay(delay_ms: i32) -> Result<i64, Error> {
    within("delay_ms", delay_ms, 0, HOLD_MS_MAX)
}

/// How long a first lease lasts, in milliseconds; 30 s when not said.
pub(crate) fn visibility(visibility_ms: i32) -> Result<i64, Error> {
    extension(if visibility_ms == 0 { VISIBILITY_MS_DEFAULT } else { visibility_ms })
}

/// How long a lease lasts from now, in milliseconds.
pub(crate) fn extension(visibility_ms: i32) -> Result<i64, Error> {
    within("visibility_ms", visibility_ms, VISIBILITY_MS_MIN, HOLD_MS_MAX)
}

/// How long a receiver waits, in milliseconds.
pub(crate) fn wait(wait_ms: i32) -> Result<u64, Error> {
    within("wait_ms", wait_ms, 0, WAIT_MS_MAX).map(i64::unsigned_abs)
}

fn within(field: &'static str, value: i32, min: i32, max: i32) -> Result<i64, Error> {
    if (min..=max).contains(&value) {
        return Ok(value.into());
    }
    Err(invalid(field, format!("must be {min} to {max}, was {value}")))
}

fn invalid(field: &'static str, description: impl Into<Cow<'static, str>>) -> Error {
    Invalid { field, description: description.into() }.into()
}

/// A message's content, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// The value in protobuf encoding: keys of objects are sorted, so equal values have equal bytes.
    pub(crate) encoded: Vec<u8>,
    /// Its length as compact JSON text, which is what clients know and what is limited.
    pub(crate) json_bytes: i64,
}

impl Body {
    /// Reads what was pushed: any JSON value, null too, but not nothing.
    pub(crate) fn new(value: Option<&Value>) -> Result<Self, Error> {
        let value = value.ok_or_else(|| invalid("body", "must be given; it may be null"))?;
        let json_bytes = json_bytes(value)
            .ok_or_else(|| invalid("body", "must be a JSON value: without empty values, NaN and infinities"))?;
        Ok(Self { encoded: value.encode_to_vec(), json_bytes: i64::try_from(json_bytes).unwrap_or(i64::MAX) })
    }

    /// Equal for equal values only.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.encoded).as_ref().to_vec()
    }
}

/// The length of a value as compact JSON text; `None` when JSON has no such value.
fn json_bytes(value: &Value) -> Option<usize> {
    // Brackets, and the commas between the parts.
    let around = |parts: usize| 2 + parts.saturating_sub(1);
    match value.kind.as_ref()? {
        Kind::NullValue(_) => Some("null".len()),
        Kind::BoolValue(value) => Some(value.to_string().len()),
        Kind::NumberValue(number) if number.is_finite() => {
            let text = serde_json::to_string(number).ok()?;
            Some(text.strip_suffix(".0").unwrap_or(&text).len())
        }
        Kind::NumberValue(_) => None,
        Kind::StringValue(text) => string_bytes(text),
        Kind::ListValue(list) => {
            list.values.iter().try_fold(around(list.values.len()), |sum, value| Some(sum + json_bytes(value)?))
        }
        Kind::StructValue(object) => object.fields.iter().try_fold(around(object.fields.len()), |sum, (key, value)| {
            Some(sum + string_bytes(key)? + ":".len() + json_bytes(value)?)
        }),
    }
}

fn string_bytes(text: &str) -> Option<usize> {
    serde_json::to_string(text).ok().map(|text| text.len())
}

#[cfg(test)]
mod tests;
