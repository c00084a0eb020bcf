//! Single values from text, as paths, queries, forms and JSON's strings hold them.

use crate::schema::{Enum, Field, Kind, Schema, WellKnown};
use crate::wire::{self, LENGTH, VARINT};
use crate::{base64, mask, number, time};

#[cfg(test)]
mod tests;

/// How many names of an enum a violation lists.
const NAMES_LISTED_MAX: usize = 16;

/// Whether values of this kind have a text form: scalars, enums, and of messages the wrappers, `Timestamp`, `Duration`
/// and `FieldMask`.
#[must_use]
pub fn has_text(schema: &Schema, kind: Kind) -> bool {
    let Kind::Message(id) = kind else { return true };
    matches!(
        schema[id].well_known,
        Some(WellKnown::Wrapper(_) | WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask)
    )
}

/// Appends the one value of `field` that `text` means, with its tag; nothing for a default that is not written. Of a
/// repeated field it is one more element, unpacked.
///
/// `lenient` also takes what loosely typed clients write: `True`, `1` or `yes` for a bool, an enum's names in any case.
/// Paths of a field mask may be in snake or camel case either way.
///
/// # Errors
/// What the value must be, to follow the field's name; nothing is appended.
pub fn put_field(schema: &Schema, field: &Field, text: &str, lenient: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    wire::put_tag(out, field.number, wire::wire_type(field.kind, field.delimited));
    let payload = out.len();
    let result = if field.delimited
        && let Kind::Message(id) = field.kind
    {
        let result = put_message(schema, schema[id].well_known, text, lenient, out);
        wire::put_tag(out, field.number, wire::END);
        result
    } else {
        put(schema, field.kind, text, lenient, out)
    };
    match result {
        Ok(()) => wire::drop_default(out, field, start, payload),
        Err(_) => out.truncate(start),
    }
    result
}

/// Appends the value of this kind that `text` means, without a tag, a message behind its length.
///
/// # Errors
/// As [`put_field`], but something may have been appended.
pub fn put(schema: &Schema, kind: Kind, text: &str, lenient: bool, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        Kind::Bool => {
            let value = boolean(text, lenient).ok_or("must be true or false")?;
            out.push(u8::from(value));
        }
        Kind::String => wire::put_bytes(out, text.as_bytes()),
        Kind::Bytes => {
            let start = wire::open(out);
            if !base64::decode(text.as_bytes(), out) {
                return Err("must be base64".into());
            }
            wire::close(out, start);
        }
        Kind::Enum(id) => put_enum(&schema[id], text, lenient, out)?,
        Kind::Message(id) => {
            let start = wire::open(out);
            put_message(schema, schema[id].well_known, text, lenient, out)?;
            wire::close(out, start);
        }
        _ if put_number(kind, text.as_bytes(), out) => {}
        _ => return Err(format!("must be {}", expected(kind))),
    }
    Ok(())
}

/// Appends a number, given as RFC 8259 writes them (and `NaN` and its like for floats); `false` if it is none of this
/// kind. An integer may be written `1e2` or `1.0`.
#[inline]
pub(crate) fn put_number(kind: Kind, text: &[u8], out: &mut Vec<u8>) -> bool {
    put_number_if_any(kind, text, out).is_some()
}

#[inline]
fn put_number_if_any(kind: Kind, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let signed = || number::signed(text);
    let signed32 = || i32::try_from(number::signed(text)?).ok();
    let unsigned32 = || u32::try_from(number::unsigned(text)?).ok();
    match kind {
        Kind::Int32 => wire::put_varint(out, i64::from(signed32()?) as u64),
        Kind::Int64 => wire::put_varint(out, signed()? as u64),
        Kind::Uint32 => wire::put_varint(out, u64::from(unsigned32()?)),
        Kind::Uint64 => wire::put_varint(out, number::unsigned(text)?),
        Kind::Sint32 => {
            let value = signed32()?;
            wire::put_varint(out, u64::from((value << 1 ^ value >> 31) as u32));
        }
        Kind::Sint64 => {
            let value = signed()?;
            wire::put_varint(out, (value << 1 ^ value >> 63) as u64);
        }
        Kind::Fixed32 => out.extend_from_slice(&unsigned32()?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&number::unsigned(text)?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&signed32()?.to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&signed()?.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&number::float(text)?.to_le_bytes()),
        Kind::Double => out.extend_from_slice(&number::double(text)?.to_le_bytes()),
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => return None,
    }
    Some(())
}

/// What a value of this kind is, to follow "must be".
pub(crate) fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Double => "a number",
        Kind::Float => "a number that fits a float",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a 32-bit integer",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a 64-bit integer",
        Kind::Uint32 | Kind::Fixed32 => "a 32-bit integer that is not negative",
        Kind::Uint64 | Kind::Fixed64 => "a 64-bit integer that is not negative",
        Kind::Bool => "true or false",
        Kind::String => "a string",
        Kind::Bytes => "base64",
        Kind::Enum(_) => "the name of a value",
        Kind::Message(_) => "an object",
    }
}

/// What to say of a name that is not in an enum.
pub(crate) fn no_such_value(values: &Enum, text: &str) -> String {
    let names = values.values.iter().map(|value| &*value.name);
    match crate::nearest(text, names.clone()) {
        Some(near) => format!("has no value of this name; did you mean {near}?"),
        None => {
            let more = if values.values.len() > NAMES_LISTED_MAX { ", ..." } else { "" };
            format!("must be one of {}{more}", names.take(NAMES_LISTED_MAX).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Appends an enum's number, if it may have it.
pub(crate) fn put_enum_number(values: &Enum, number: i32, out: &mut Vec<u8>) -> Result<(), String> {
    if values.closed && values.value(number).is_none() {
        return Err(no_such_value(values, ""));
    }
    wire::put_varint(out, i64::from(number) as u64);
    Ok(())
}

fn put_enum(values: &Enum, text: &str, lenient: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let named = values.number(text.as_bytes()).or_else(|| {
        let alike = |value: &&crate::schema::EnumValue| lenient && value.name.eq_ignore_ascii_case(text);
        values.values.iter().find(alike).map(|value| value.number)
    });
    let number = named.or_else(|| i32::try_from(number::signed(text.as_bytes())?).ok());
    put_enum_number(values, number.ok_or_else(|| no_such_value(values, text))?, out)
}

fn boolean(text: &str, lenient: bool) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ if !lenient => None,
        _ => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        },
    }
}

/// Appends the fields of a well-known message.
fn put_message(
    schema: &Schema,
    known: Option<WellKnown>,
    text: &str,
    lenient: bool,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    match known {
        Some(WellKnown::Wrapper(kind)) => {
            let start = out.len();
            wire::put_tag(out, 1, wire::wire_type(kind, false));
            let payload = out.len();
            put(schema, kind, text, lenient, out)?;
            if out[payload..].iter().all(|byte| *byte == 0) {
                out.truncate(start);
            }
            Ok(())
        }
        // Their fields have no text either.
        Some(WellKnown::ListValue | WellKnown::Struct) => {
            Err("may be any JSON, which only a body can hold here".into())
        }
        Some(known) => put_known(known, text, true, out),
        None => Err("is a message; name one of its fields".into()),
    }
}

/// Appends the fields of a well-known message whose JSON is a string.
pub(crate) fn put_known(known: WellKnown, text: &str, lenient: bool, out: &mut Vec<u8>) -> Result<(), String> {
    match known {
        WellKnown::Timestamp => {
            let time = time::parse_timestamp(text.as_bytes());
            put_seconds(time.ok_or("must be a time like 2026-01-31T12:00:00Z, in the years 1 to 9999")?, out);
        }
        WellKnown::Duration => {
            let duration = time::parse_duration(text.as_bytes());
            put_seconds(duration.ok_or("must be seconds like 1.5s, at most 315576000000")?, out);
        }
        WellKnown::FieldMask => {
            for path in text.split(',').filter(|_| !text.is_empty()) {
                let path = mask::parse(path, lenient).ok_or("must be names in camel case with commas between them")?;
                wire::put_tag(out, 1, LENGTH);
                wire::put_bytes(out, path.as_bytes());
            }
        }
        _ => return Err("is a message; name one of its fields".into()),
    }
    Ok(())
}

fn put_seconds((seconds, nanos): (i64, i32), out: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            wire::put_tag(out, number, VARINT);
            wire::put_varint(out, value as u64);
        }
    }
}
