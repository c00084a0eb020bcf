//! A message as ProtoJSON, always in the same order: fields by number, map entries by key. Equal messages are equal
//! texts, which prost-reflect's own writer does not promise for maps; well-known types are left to it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage as _, SerializeOptions, Value};
use serde::Serialize;
use serde_json::Result;

use crate::config::{Enums, Json, Names};

#[cfg(test)]
mod tests;

/// Writes messages as the config has it.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    config: Json,
    options: SerializeOptions,
}

impl Writer {
    pub(super) fn new(config: &Json) -> Self {
        Self { config: config.clone(), options: options(config) }
    }

    pub(super) fn message(&self, out: &mut Vec<u8>, message: &DynamicMessage) -> Result<()> {
        let descriptor = message.descriptor();
        if descriptor.full_name().starts_with("google.protobuf.") {
            return message.serialize_with_options(&mut serializer(out), &self.options);
        }
        let written = |field: &_| message.has_field(field) || self.config.emit_defaults && !field.supports_presence();
        let fields = descriptor.fields().filter(written).map(|field| {
            let name = if self.config.names == Names::Proto { field.name() } else { field.json_name() };
            (name.to_owned(), message.get_field(&field), field.kind())
        });
        let extensions = message
            .extensions()
            .map(|(extension, value)| (extension.json_name().to_owned(), Cow::Borrowed(value), extension.kind()));
        self.members(out, fields.chain(extensions))
    }

    /// The value of a field of this kind; of a list or map, all its elements.
    pub(super) fn value(&self, out: &mut Vec<u8>, value: &Value, kind: &Kind) -> Result<()> {
        match (value, kind) {
            (Value::Message(message), _) => self.message(out, message),
            (Value::List(elements), _) => {
                out.push(b'[');
                for (at, element) in elements.iter().enumerate() {
                    comma(out, at);
                    self.value(out, element, kind)?;
                }
                out.push(b']');
                Ok(())
            }
            (Value::Map(entries), Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                let sorted: BTreeMap<&MapKey, &Value> = entries.iter().collect();
                let members = sorted.into_iter().map(|(name, value)| (key(name), Cow::Borrowed(value), kind.clone()));
                self.members(out, members)
            }
            (Value::EnumNumber(number), Kind::Enum(values)) => match values.get_value(*number) {
                _ if values.full_name() == "google.protobuf.NullValue" => put(out, &()),
                Some(value) if self.config.enums == Enums::Name => put(out, value.name()),
                _ => put(out, number),
            },
            (Value::Bool(flag), _) => put(out, flag),
            (Value::I32(number) | Value::EnumNumber(number), _) => put(out, number),
            (Value::U32(number), _) => put(out, number),
            (Value::I64(number), _) => put(out, &number.to_string()),
            (Value::U64(number), _) => put(out, &number.to_string()),
            (Value::F32(number), _) if number.is_finite() => put(out, number),
            (Value::F32(number), _) => put(out, not_finite((*number).into())),
            (Value::F64(number), _) if number.is_finite() => put(out, number),
            (Value::F64(number), _) => put(out, not_finite(*number)),
            (Value::String(text), _) => put(out, text),
            (Value::Bytes(bytes), _) => put(out, &BASE64_STANDARD.encode(bytes)),
            (Value::Map(_), _) => Err(serde::ser::Error::custom("a map whose entries are no messages")),
        }
    }

    fn members<'v>(
        &self,
        out: &mut Vec<u8>,
        members: impl Iterator<Item = (String, Cow<'v, Value>, Kind)>,
    ) -> Result<()> {
        out.push(b'{');
        for (at, (name, value, kind)) in members.enumerate() {
            comma(out, at);
            put(out, &name)?;
            out.push(b':');
            self.value(out, &value, &kind)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// The same, for prost-reflect.
pub(super) fn options(json: &Json) -> SerializeOptions {
    SerializeOptions::new()
        .use_proto_field_name(json.names == Names::Proto)
        .skip_default_fields(!json.emit_defaults)
        .use_enum_numbers(json.enums == Enums::Number)
}

fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<()> {
    value.serialize(&mut serializer(out))
}

fn serializer(out: &mut Vec<u8>) -> serde_json::Serializer<&mut Vec<u8>, Compact> {
    serde_json::Serializer::with_formatter(out, Compact)
}

fn comma(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

fn key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn not_finite(number: f64) -> &'static str {
    match number {
        _ if number.is_nan() => "NaN",
        _ if number > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// Writes a double that holds an integer as an integer. `google.protobuf.Value` knows only doubles, and whoever sent
/// 1 does not expect 1.0 back.
struct Compact;

impl serde_json::ser::Formatter for Compact {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        /// Beyond 2^53 not every integer is a double, and the exponent says so.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT && !(value == 0.0 && value.is_sign_negative()) {
            return write!(writer, "{value:.0}");
        }
        serde_json::ser::CompactFormatter.write_f64(writer, value)
    }
}
