//! What queues, keys, times and messages look like. Pure.

use std::borrow::Cow;

use aws_lc_rs::digest;
use malla_runtime::status::Invalid;
use malla_storage::keyed::is_key;
use prost::Message as _;
use prost_types::Value;
use prost_types::value::Kind;

use crate::error::Error;
use crate::store::Delivery;

/// The queue of calls that name none, as the old ones do.
const QUEUE_DEFAULT: &str = "default";
const QUEUE_CHARS_MAX: usize = 80;
const TICKET_CHARS_MAX: usize = 64;
/// Longest lease and longest delay: 12 hours.
const HOLD_MS_MAX: i32 = 43_200_000;
const VISIBILITY_MS_MIN: i32 = 1_000;
const VISIBILITY_MS_DEFAULT: i32 = 30_000;
/// Messages leased at a time.
pub(crate) const RECEIVE_MAX: i32 = 10;
const IN_FLIGHT_MAX: i32 = 100;
const IN_FLIGHT_DEFAULT: i32 = 10;
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

/// What a consumer knows of a delivery. Both parts were made here: what cannot have been is refused before a store sees it.
pub(crate) fn delivery(queue: String, id: String, receipt: String) -> Result<Delivery, Error> {
    for (field, text) in [("id", &id), ("receipt", &receipt)] {
        let fits = |character: char| character.is_ascii_alphanumeric() || character == '-';
        if !(1..=TICKET_CHARS_MAX).contains(&text.len()) || !text.chars().all(fits) {
            return Err(invalid(field, "must be as it was received: 1 to 64 letters, digits or '-'"));
        }
    }
    Ok(Delivery { queue: self::queue(queue)?, id, receipt })
}

/// The idempotency key of a message, if there is one: the request's, which is the queue's, or the call's, which is its
/// owner's. No key has a line end, so neither passes for the other.
pub(crate) fn key(key: String, of_call: Option<&str>, owner: &str) -> Result<Option<String>, Error> {
    if !key.is_empty() && !is_key(&key) {
        return Err(invalid("idempotency_key", "must be empty or have 1 to 255 visible ASCII characters"));
    }
    match of_call {
        None => Ok(Some(key).filter(|key| !key.is_empty())),
        Some(of_call) if key.is_empty() => Ok(Some(format!("{of_call}\n{owner}"))),
        Some(of_call) if key == of_call => Ok(Some(key)),
        Some(_) => Err(invalid("idempotency_key", "must be empty or the same as in the Idempotency-Key header")),
    }
}

/// How many messages to lease; 1 when not said.
pub(crate) fn count(max_messages: i32) -> Result<u64, Error> {
    within("max_messages", max_messages, 0, RECEIVE_MAX).map(|count| count.max(1).unsigned_abs())
}

/// How many messages a stream may have leased; 10 when not said.
pub(crate) fn in_flight(max_in_flight: i32) -> Result<u64, Error> {
    let count = if max_in_flight == 0 { IN_FLIGHT_DEFAULT } else { max_in_flight };
    within("max_in_flight", count, 1, IN_FLIGHT_MAX).map(i64::unsigned_abs)
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

    /// Refuses what has more than `max` bytes.
    pub(crate) fn check(&self, max: i64) -> Result<(), Error> {
        let bytes = self.json_bytes;
        if bytes > max { Err(Error::MessageTooLong { bytes, max }) } else { Ok(()) }
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
