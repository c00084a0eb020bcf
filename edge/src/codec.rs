//! Between HTTP's spellings of a message and its protobuf bytes: what `malla_transcode` does, on the edge's terms, where
//! bytes are shared and a raw body has a media type.

mod details;

use std::sync::Arc;

use bytes::Bytes;
use malla_transcode::bind::{self, ResponseOptions};
use malla_transcode::json::{Defaults, EncodeError};
use malla_transcode::schema::{MessageId, Schema};
use tonic_types::pb;

use crate::config::{Enums, Json, Names};

pub(crate) use details::Details;
pub(crate) use malla_transcode::Violation;
pub(crate) use malla_transcode::bind::{Payload, RequestPlan};

/// The two fields of `google.api.HttpBody` that HTTP can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpBody {
    /// Media type; empty when not given.
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
}

/// What a request carries besides its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'i> {
    /// Values of the template's variables, decoded, in the template's order.
    pub(crate) variables: &'i [String],
    /// The query as it came.
    pub(crate) query: &'i str,
}

/// Makes the request message.
///
/// # Errors
/// All that is wrong with the request, by field.
pub(crate) fn decode(plan: &RequestPlan, input: Input<'_>, payload: Payload<'_>) -> Result<Bytes, Vec<Violation>> {
    let mut message = Vec::with_capacity(size(payload));
    plan.decode(input.variables, input.query, payload, &mut message)?;
    Ok(message.into())
}

/// Makes a further message of a stream, which path and query are not in.
///
/// # Errors
/// All that is wrong with it, by field; also what contradicts the path.
pub(crate) fn further(plan: &RequestPlan, variables: &[String], payload: Payload<'_>) -> Result<Bytes, Vec<Violation>> {
    let mut message = Vec::with_capacity(size(payload));
    plan.further(variables, payload, &mut message)?;
    Ok(message.into())
}

/// What is written is rarely longer than what was read.
fn size(payload: Payload<'_>) -> usize {
    match payload {
        Payload::Empty => 0,
        Payload::Json(data) | Payload::Form(data) | Payload::Raw { data, .. } => data.len(),
        Payload::Parts { files, json, form } => files.len() + json.len() + form.len(),
    }
}

/// How the responses of one binding are written; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum ResponsePlan {
    Json(JsonPlan),
    Raw(RawPlan),
}

impl From<bind::ResponsePlan> for ResponsePlan {
    fn from(plan: bind::ResponsePlan) -> Self {
        if plan.is_raw() { Self::Raw(RawPlan(plan)) } else { Self::Json(JsonPlan(plan)) }
    }
}

/// Writes messages as JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonPlan(bind::ResponsePlan);

impl JsonPlan {
    /// Writes a message as a whole, whichever method it comes from.
    pub(crate) fn whole(schema: Arc<Schema>, message: MessageId, json: &Json, types: &Types) -> Self {
        Self(bind::ResponsePlan::whole(schema, message, types.options(json)))
    }

    /// Writes one message.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub(crate) fn text(&self, wire: &[u8]) -> Result<Bytes, EncodeError> {
        // Names are written out, so there is more of it.
        let mut text = Vec::with_capacity(wire.len() * 2);
        self.0.json(wire, &mut text)?;
        Ok(text.into())
    }

    /// The token of the next page, where the JSON cannot say it; else empty.
    pub(crate) fn next_page_token<'w>(&self, wire: &'w [u8]) -> &'w str {
        self.0.next_page_token(wire)
    }

    /// The id of an element of a stream, where its method says that it has one; else empty.
    pub(crate) fn event_id<'w>(&self, wire: &'w [u8]) -> &'w str {
        self.0.event_id(wire)
    }
}

/// Takes raw bytes out of messages.
#[derive(Clone, Debug)]
pub(crate) struct RawPlan(bind::ResponsePlan);

impl RawPlan {
    /// What one message holds.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub(crate) fn body(&self, wire: &Bytes) -> Result<HttpBody, EncodeError> {
        let (content_type, data) = self.0.raw(wire)?;
        Ok(HttpBody { content_type: content_type.to_owned(), data: wire.slice_ref(data) })
    }
}

/// Message types by name, whichever backend declares them: what an Any holds may come from any of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Types(Arc<[Arc<Schema>]>);

impl Types {
    /// Looks types up in Google's error details, then in these schemas.
    pub(crate) fn new(schemas: impl IntoIterator<Item = Arc<Schema>>) -> Self {
        let google = Schema::new(&[pb::FILE_DESCRIPTOR_SET]).map(Arc::new).ok();
        Self(google.into_iter().chain(schemas).collect())
    }

    /// A type by its full name.
    pub(crate) fn get(&self, name: &str) -> Option<(Arc<Schema>, MessageId)> {
        self.0.iter().find_map(|schema| Some((schema.clone(), schema.find_message(name)?)))
    }

    /// How messages are written that may hold these.
    pub(crate) fn options(&self, json: &Json) -> ResponseOptions {
        ResponseOptions {
            proto_names: json.names == Names::Proto,
            enum_numbers: json.enums == Enums::Number,
            defaults: if json.emit_defaults { Defaults::Implicit } else { Defaults::Omit },
            types: self.0.clone(),
        }
    }
}
