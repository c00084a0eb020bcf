//! One value from text: a path variable, a query parameter, a form field.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;

#[cfg(test)]
mod tests;

const BASE64: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BASE64);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, BASE64);

/// Whether values of this kind have a text form.
pub(super) fn has_text(kind: &Kind) -> bool {
    let Kind::Message(message) = kind else { return true };
    wrapped(message).is_some()
        || matches!(
            message.full_name(),
            "google.protobuf.Timestamp" | "google.protobuf.Duration" | "google.protobuf.FieldMask"
        )
}

/// Reads one value. `lenient` also takes what loosely typed clients write.
///
/// # Errors
/// What it should have been.
pub(super) fn parse(kind: &Kind, text: &str, lenient: bool) -> Result<Value, String> {
    match kind {
        Kind::Bool => boolean(text, lenient).map(Value::Bool).ok_or_else(|| "must be true or false".to_owned()),
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bytes => match STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)) {
            Ok(bytes) => Ok(Value::Bytes(bytes.into())),
            Err(_) => Err("must be base64".to_owned()),
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(text, "a 32-bit integer").map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(text, "a 64-bit integer").map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => integer(text, "a 32-bit integer that is not negative").map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => integer(text, "a 64-bit integer that is not negative").map(Value::U64),
        Kind::Float => float(text).map(Value::F32),
        Kind::Double => double(text).map(Value::F64),
        Kind::Enum(values) => enumeration(values, text, lenient).map(Value::EnumNumber),
        Kind::Message(message) => self::message(message, text, lenient).map(Value::Message),
    }
}

/// Reads the key of a map entry.
///
/// # Errors
/// What it should have been.
pub(super) fn parse_key(kind: &Kind, text: &str) -> Result<MapKey, String> {
    parse(kind, text, false)?.into_map_key().ok_or_else(|| "cannot be a key".to_owned())
}

/// What a loosely typed client may write for a bool.
pub(super) fn boolean(text: &str, lenient: bool) -> Option<bool> {
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

/// `1.0` and `1e2` are integers too, as in ProtoJSON.
fn integer<N: TryFrom<i128>>(text: &str, expected: &str) -> Result<N, String> {
    let number = if text.starts_with('+') { None } else { text.parse::<i128>().ok() };
    let number = number.or_else(|| {
        let float = finite(text).filter(|float| float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0)?;
        format!("{float:.0}").parse().ok()
    });
    number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| format!("must be {expected}"))
}

/// A number as JSON writes it; Rust alone would also take `inf` and `+1`.
fn finite(text: &str) -> Option<f64> {
    let plain = text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && !text.ends_with(['f', 'y']);
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

fn double(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => finite(text).ok_or_else(|| "must be a number".to_owned()),
    }
}

fn float(text: &str) -> Result<f32, String> {
    let wide = double(text)?;
    #[expect(clippy::cast_possible_truncation, reason = "a float is what is asked for; its range is checked")]
    let narrow = wide as f32;
    if wide.is_finite() && narrow.is_infinite() {
        return Err("is too large for a float".to_owned());
    }
    Ok(narrow)
}

fn enumeration(values: &EnumDescriptor, text: &str, lenient: bool) -> Result<i32, String> {
    if let Some(value) = values.get_value_by_name(text) {
        return Ok(value.number());
    }
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let found = values.values().find(|value| lenient && value.name().eq_ignore_ascii_case(text));
    found.map(|value| value.number()).ok_or_else(|| {
        let names = values.values().map(|value| value.name().to_owned()).collect::<Vec<_>>().join(", ");
        format!("must be one of {names}")
    })
}

fn message(descriptor: &MessageDescriptor, text: &str, lenient: bool) -> Result<DynamicMessage, String> {
    let mut message = DynamicMessage::new(descriptor.clone());
    if let Some(kind) = wrapped(descriptor) {
        message.set_field_by_name("value", parse(&kind, text, lenient)?);
        return Ok(message);
    }
    let expected = match descriptor.full_name() {
        "google.protobuf.FieldMask" => {
            let paths = text.split(',').filter(|path| !path.is_empty()).map(|path| Value::String(snake(path)));
            message.set_field_by_name("paths", Value::List(paths.collect()));
            return Ok(message);
        }
        "google.protobuf.Timestamp" => "must be a time like 2026-01-31T12:00:00Z",
        "google.protobuf.Duration" => "must be seconds like 1.5s",
        "google.protobuf.Value" if lenient => {
            message.set_field_by_name("string_value", Value::String(text.to_owned()));
            return Ok(message);
        }
        _ => return Err("is a message; name one of its fields".to_owned()),
    };
    let deserializer: StrDeserializer<'_, serde_json::Error> = text.into_deserializer();
    DynamicMessage::deserialize(descriptor.clone(), deserializer).map_err(|_| expected.to_owned())
}

/// The kind inside `google.protobuf.StringValue` and its eight sisters.
fn wrapped(message: &MessageDescriptor) -> Option<Kind> {
    let name = message.full_name().strip_prefix("google.protobuf.")?.strip_suffix("Value")?;
    if name.is_empty() || matches!(name, "List" | "Null" | "Enum") {
        return None;
    }
    Some(message.get_field_by_name("value")?.kind())
}

/// Paths of a field mask may come with JSON names.
fn snake(path: &str) -> String {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
