//! From the bytes of a response message to what HTTP gets: JSON, or raw bytes with their media type.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};

use super::json::Writer;
use super::{HttpBody, http_body};
use crate::config::Json;

#[cfg(test)]
mod tests;

/// How the responses of one binding are written.
#[derive(Clone, Debug)]
pub(crate) struct ResponsePlan {
    message: MessageDescriptor,
    /// The field that alone is the answer, by `response_body`.
    field: Option<FieldDescriptor>,
    /// Where the token of the next page is, when the answer is a list alone, which has no place for it.
    next_page_token: Option<FieldDescriptor>,
    writer: Writer,
}

/// One answer, or one element of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Json {
        text: Bytes,
        /// Of the next page, where the JSON cannot say it; else empty.
        next_page_token: String,
    },
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
        // Paging by these names is AIP-158's.
        let paged = method.input().get_field_by_name("page_token").is_some();
        let unwrapped = field.as_ref().is_some_and(FieldDescriptor::is_list);
        let next_page_token = message
            .get_field_by_name("next_page_token")
            .filter(|token| paged && unwrapped && token.kind() == Kind::String && !token.is_list());
        Ok(Self { message, field, next_page_token, writer: Writer::new(json) })
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
        let message = DynamicMessage::decode(self.message.clone(), wire).map_err(|error| fail(error.to_string()))?;
        if self.is_raw() {
            let body = match &self.field {
                None => HttpBody::from_message(&message),
                Some(field) => message.get_field(field).as_message().map_or_else(empty, HttpBody::from_message),
            };
            return Ok(Output::Raw(body));
        }
        let mut text = Vec::new();
        let written = match &self.field {
            None => self.writer.message(&mut text, &message),
            Some(field) => self.writer.value(&mut text, &message.get_field(field), &field.kind()),
        };
        written.map_err(|error| fail(error.to_string()))?;
        let token = self.next_page_token.as_ref().map(|field| message.get_field(field));
        let next_page_token = token.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Output::Json { text: text.into(), next_page_token })
    }
}

fn empty() -> HttpBody {
    HttpBody { content_type: String::new(), data: Bytes::new() }
}
