//! From the bytes of a response message to what HTTP gets: JSON, or raw bytes with their media type.

use std::sync::Arc;

use super::{HTTP_BODY, is_http_body, path};
use crate::check::Route;
use crate::json::{Defaults, EncodeError, EncodeOptions, Encoder};
use crate::schema::{Kind, MessageId, Schema};
use crate::wire::{LENGTH, Malformed, Wire};

#[cfg(test)]
mod tests;

/// How responses are written.
#[derive(Clone, Debug, Default)]
pub struct ResponseOptions {
    /// Whether fields go by their names in the proto instead of those in JSON. Default false.
    pub proto_names: bool,
    /// Whether enums are written as numbers instead of names. Default false.
    pub enum_numbers: bool,
    /// Which absent fields are written. Default none.
    pub defaults: Defaults,
    /// Where the types of `google.protobuf.Any` are looked up besides the response's own schema. One of a type that
    /// nobody knows is written as `{"@type": .., "value": "<base64>"}`. Default nowhere.
    pub types: Arc<[Arc<Schema>]>,
}

/// How the responses of one binding are written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ResponsePlan {
    schema: Arc<Schema>,
    message: MessageId,
    /// The field that alone is the answer, by `response_body`.
    field: Option<usize>,
    /// The number of the next page's token, when the answer is a list alone, which has no place for it.
    next_page_token: Option<u32>,
    /// The numbers of the fields to the id that an element of a stream has; none without one.
    event_id: Vec<u32>,
    options: ResponseOptions,
}

impl ResponsePlan {
    /// Makes the plan of a route of this schema.
    #[must_use]
    pub fn new(schema: Arc<Schema>, route: &Route<'_>, options: ResponseOptions) -> Self {
        let (message, field) = (route.method().output, route.response_body);
        // Paging by these names is AIP-158's.
        let paged = schema[route.method().input].field("page_token").is_some();
        let unwrapped = field.is_some_and(|field| schema[message].fields[field].is_repeated());
        let token = schema[message].field("next_page_token").filter(|_| paged && unwrapped);
        let token = token.filter(|token| token.kind == Kind::String && !token.is_repeated());
        let next_page_token = token.map(|token| token.number);
        Self { message, field, next_page_token, event_id: Vec::new(), options, schema }
    }

    /// Writes a message as a whole, whichever method it comes from.
    #[must_use]
    pub fn whole(schema: Arc<Schema>, message: MessageId, options: ResponseOptions) -> Self {
        Self { schema, message, field: None, next_page_token: None, event_id: Vec::new(), options }
    }

    /// The same plan, of messages that have an id at a path of fields from the whole message on: `item.id`.
    ///
    /// # Errors
    /// What does not fit: there has to be a string.
    pub fn with_event_id(self, path: &str) -> Result<Self, String> {
        let mut positions = Vec::new();
        path::resolve(&self.schema, self.message, path, &mut positions)?;
        let (mut message, mut event_id) = (self.message, Vec::with_capacity(positions.len()));
        for (at, position) in positions.iter().enumerate() {
            let field = &self.schema[message].fields[*position];
            event_id.push(field.number);
            match field.kind {
                Kind::Message(inner) if at + 1 < positions.len() => message = inner,
                Kind::String if at + 1 == positions.len() && !field.is_repeated() => {}
                _ => return Err("is no string".to_owned()),
            }
        }
        Ok(Self { event_id, ..self })
    }

    /// Whether answers are raw bytes.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let message = &self.schema[self.message];
        self.field.map_or(*message.name == *HTTP_BODY, |field| is_http_body(&self.schema, &message.fields[field]))
    }

    /// Appends the JSON of one message.
    ///
    /// # Errors
    /// The bytes are no such message, or have no JSON; nothing is appended.
    pub fn json(&self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let ResponseOptions { proto_names, enum_numbers, defaults, types } = &self.options;
        let options = EncodeOptions {
            proto_names: *proto_names,
            enum_numbers: *enum_numbers,
            defaults: *defaults,
            any: types,
            opaque_any: true,
            ..EncodeOptions::default()
        };
        let encoder = Encoder::new(&self.schema, options);
        let Some(position) = self.field else { return encoder.message(self.message, wire, out) };
        let start = out.len();
        encoder.field(self.message, position, wire, out)?;
        // Whoever reads an object finds an empty one, not none.
        if let Kind::Message(id) = self.schema[self.message].fields[position].kind
            && self.schema[id].well_known.is_none()
            && out[start..] == *b"null"
        {
            out.truncate(start);
            return encoder.message(id, &[], out);
        }
        Ok(())
    }

    /// The media type, empty when not given, and the bytes of a raw answer.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub fn raw<'w>(&self, wire: &'w [u8]) -> Result<(&'w str, &'w [u8]), EncodeError> {
        let message = &self.schema[self.message];
        let read = || {
            let body = match self.field {
                Some(field) => last(wire, message.fields[field].number)?,
                None => wire,
            };
            let content_type = std::str::from_utf8(last(body, 1)?).map_err(|_| Malformed)?;
            Ok::<_, Malformed>((content_type, last(body, 2)?))
        };
        read().map_err(|Malformed| EncodeError::Malformed { message: message.name.clone() })
    }

    /// The token of the next page, where the JSON cannot say it; else empty.
    #[must_use]
    pub fn next_page_token<'w>(&self, wire: &'w [u8]) -> &'w str {
        let token = self.next_page_token.and_then(|number| last(wire, number).ok());
        token.and_then(|token| std::str::from_utf8(token).ok()).unwrap_or_default()
    }

    /// The id of an element of a stream; empty if it has none.
    #[must_use]
    pub fn event_id<'w>(&self, wire: &'w [u8]) -> &'w str {
        if self.event_id.is_empty() {
            return "";
        }
        let id = self.event_id.iter().try_fold(wire, |wire, number| last(wire, *number));
        id.ok().and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default()
    }
}

/// The last value of a field that has a length; empty without one.
fn last(wire: &[u8], number: u32) -> Result<&[u8], Malformed> {
    let (mut wire, mut value) = (Wire::new(wire), [].as_slice());
    while !wire.is_done() {
        match wire.tag()? {
            (found, LENGTH) if found == number => value = wire.slice()?,
            (found, wire_type) => wire.skip(found, wire_type)?,
        }
    }
    Ok(value)
}
