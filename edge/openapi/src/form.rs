//! How a message is written at one place of the document.

use std::collections::HashSet;

use malla_transcode::schema::{Field, Kind, Message, MessageId, Schema};

use crate::components::STATUS;
use crate::{Binding, Json};

/// A message that looks different at two places has a component for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    proto_names: bool,
    pub(crate) enum_numbers: bool,
    taken: Taken,
}

/// What is taken besides what a message declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Nothing; nor is anything else answered.
    Nothing,
    /// Fields that it does not have.
    Fields,
    /// Those, and values that are loosely typed.
    Anything,
}

impl Form {
    /// As requests of a binding have it.
    pub(crate) fn of_request(binding: &Binding<'_>) -> Self {
        let taken = match (binding.lenient, binding.ignore_unknown_fields) {
            (true, _) => Taken::Anything,
            (false, true) => Taken::Fields,
            (false, false) => Taken::Nothing,
        };
        Self { taken, ..Self::of_answer(binding) }
    }

    /// As its answers have it.
    pub(crate) fn of_answer(binding: &Binding<'_>) -> Self {
        let Json { proto_names, enum_numbers, .. } = binding.json;
        Self { proto_names, enum_numbers, taken: Taken::Nothing }
    }

    /// Whether values may be loosely typed.
    pub(crate) fn is_loose(self) -> bool {
        self.taken == Taken::Anything
    }

    /// Whether there may be fields that the message does not have.
    pub(crate) fn is_open(self) -> bool {
        self.taken != Taken::Nothing
    }

    /// A field's name in JSON.
    pub(crate) fn name(self, field: &Field) -> &str {
        if self.proto_names { &field.name } else { &field.json_name }
    }

    /// What tells a message's component from that of the usual form; empty where the two are the same.
    pub(crate) fn of_message(self, schema: &Schema, message: MessageId, usual: Json) -> String {
        let mut suffix = String::new();
        if self.proto_names != usual.proto_names && any_field(schema, message, |field| field.name != field.json_name) {
            suffix.push_str(if self.proto_names { "-proto" } else { "-camel" });
        }
        let is_enum = |field: &Field| matches!(field.kind, Kind::Enum(id) if !schema[id].null_value);
        let of_enum = self.of_enum(usual);
        if !of_enum.is_empty() && !self.is_loose() && any_field(schema, message, is_enum) {
            suffix.push_str(of_enum);
        }
        suffix.push_str(match self.taken {
            Taken::Nothing => "",
            Taken::Fields => "-open",
            Taken::Anything => "-lenient",
        });
        suffix
    }

    /// The same for an enum's.
    pub(crate) fn of_enum(self, usual: Json) -> &'static str {
        match (self.enum_numbers, usual.enum_numbers) {
            (true, false) => "-numbers",
            (false, true) => "-names",
            _ => "",
        }
    }
}

/// Whether a message has a component; the well-known types stand where they are used.
fn is_component(message: &Message) -> bool {
    message.well_known.is_none() && *message.name != *STATUS
}

/// Whether it is so for a field of a message, or of one that it leads to.
fn any_field(schema: &Schema, message: MessageId, is_so: impl Fn(&Field) -> bool) -> bool {
    let mut seen = HashSet::from([message]);
    let mut waiting = vec![message];
    while let Some(id) = waiting.pop() {
        for field in &schema[id].fields {
            if is_so(field) {
                return true;
            }
            if let Kind::Message(inner) = field.kind
                && is_component(&schema[inner])
                && seen.insert(inner)
            {
                waiting.push(inner);
            }
        }
    }
    false
}
