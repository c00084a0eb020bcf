//! From the bytes of a response message to what HTTP gets: JSON, or raw bytes with their media type.

use std::io;

use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, SerializeOptions, Value,
};

use super::{HttpBody, http_body};
use crate::config::{Enums, Json, Names};

#[cfg(test)]
mod tests;

/// How the responses of one binding are written.
#[derive(Clone, Debug)]
pub(crate) struct ResponsePlan {
    message: MessageDescriptor,
    /// The field that alone is the answer, by `response_body`.
    field: Option<FieldDescriptor>,
    names: Names,
    options: SerializeOptions,
}

/// One answer, or one element of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Json(Bytes),
    Raw(HttpBody),
}

/// The backend's bytes are not the message its descriptors promise.
#[derive(Debug, thiserror::Error)]
#[error("the backend's answer is not a {message}: {cause}")]
pub(crate) struct EncodeError {
    message: String,
    cause: String,
}

impl ResponsePlan {
    /// Holds `response_body` against the method.
    ///
    /// # Errors
    /// It names no field.
    pub(crate) fn compile(method: &MethodDescriptor, response_body: &str, json: &Json) -> Result<Self, String> {
        let message = method.output();
        let field = match response_body {
            "" => None,
            name => {
                let field = message.get_field_by_name(name);
                let unknown = || format!("response_body: \"{name}\" is not a field of {}", message.full_name());
                Some(field.ok_or_else(unknown)?)
            }
        };
        Ok(Self { message, field, names: json.names, options: options(json) })
    }

    /// Whether answers are raw bytes.
    pub(crate) fn is_raw(&self) -> bool {
        match &self.field {
            None => self.message.full_name() == http_body::NAME,
            Some(field) => !field.is_list() && http_body::is(&field.kind()),
        }
    }

    /// Writes one message.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub(crate) fn encode(&self, wire: Bytes) -> Result<Output, EncodeError> {
        let fail = |cause: String| EncodeError { message: self.message.full_name().to_owned(), cause };
        let mut message =
            DynamicMessage::decode(self.message.clone(), wire).map_err(|error| fail(error.to_string()))?;
        if self.is_raw() {
            let body = match &self.field {
                None => HttpBody::from_message(&message),
                Some(field) => message.get_field(field).as_message().map_or_else(empty, HttpBody::from_message),
            };
            return Ok(Output::Raw(body));
        }
        let json = match &self.field {
            None => write(&message, &self.options),
            Some(field) => self.field(&mut message, field),
        };
        json.map(|json| Output::Json(json.into())).map_err(|error| fail(error.to_string()))
    }

    /// Only messages can be written by themselves; fields of other kinds are cut out of a message that has no other.
    fn field(&self, message: &mut DynamicMessage, field: &FieldDescriptor) -> serde_json::Result<Vec<u8>> {
        let value = message.take_field(field).unwrap_or_else(|| Value::default_value_for_field(field));
        match &value {
            Value::Message(message) => return write(message, &self.options),
            Value::List(elements) if matches!(field.kind(), Kind::Message(_)) => return self.array(elements),
            _ => {}
        }
        let mut alone = DynamicMessage::new(self.message.clone());
        alone.set_field(field, value);
        let name = if self.names == Names::Proto { field.name() } else { field.json_name() };
        // A field that has its default value may not be written at first.
        for options in [self.options.clone(), self.options.clone().skip_default_fields(false)] {
            let mut object: serde_json::Value = serde_json::from_slice(&write(&alone, &options)?)?;
            if let Some(value) = object.get_mut(name) {
                return serde_json::to_vec(&value.take());
            }
        }
        Ok(b"null".to_vec())
    }

    fn array(&self, elements: &[Value]) -> serde_json::Result<Vec<u8>> {
        let mut json = vec![b'['];
        for (at, element) in elements.iter().filter_map(Value::as_message).enumerate() {
            if at > 0 {
                json.push(b',');
            }
            write_to(&mut json, element, &self.options)?;
        }
        json.push(b']');
        Ok(json)
    }
}

fn empty() -> HttpBody {
    HttpBody { content_type: String::new(), data: Bytes::new() }
}

fn write(message: &DynamicMessage, options: &SerializeOptions) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::new();
    write_to(&mut json, message, options)?;
    Ok(json)
}

fn write_to(json: &mut Vec<u8>, message: &DynamicMessage, options: &SerializeOptions) -> serde_json::Result<()> {
    message.serialize_with_options(&mut serde_json::Serializer::with_formatter(json, Compact), options)
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

pub(super) fn options(json: &Json) -> SerializeOptions {
    SerializeOptions::new()
        .use_proto_field_name(json.names == Names::Proto)
        .skip_default_fields(!json.emit_defaults)
        .use_enum_numbers(json.enums == Enums::Number)
}
