//! `google.api.HttpBody`: bytes that are not JSON, with their media type.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};

pub(super) const NAME: &str = "google.api.HttpBody";
const CONTENT_TYPE: u32 = 1;
const DATA: u32 = 2;

/// The two fields of `google.api.HttpBody` that HTTP can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpBody {
    /// Media type; empty when not given.
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
}

impl HttpBody {
    pub(super) fn into_message(self, descriptor: MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor);
        message.set_field_by_number(CONTENT_TYPE, Value::String(self.content_type));
        message.set_field_by_number(DATA, Value::Bytes(self.data));
        message
    }

    pub(super) fn from_message(message: &DynamicMessage) -> Self {
        let content_type = message.get_field_by_number(CONTENT_TYPE);
        let data = message.get_field_by_number(DATA);
        Self {
            content_type: content_type.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default(),
            data: data.and_then(|value| value.as_bytes().cloned()).unwrap_or_default(),
        }
    }
}

pub(super) fn is(kind: &Kind) -> bool {
    kind.as_message().is_some_and(|message| message.full_name() == NAME)
}
