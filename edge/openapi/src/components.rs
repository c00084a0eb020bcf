//! Messages and enums as JSON schemas. Each is a component named by its full name; the well-known types have the form
//! that ProtoJSON gives them, where they stand.

use std::collections::BTreeMap;

use malla_transcode::schema::{Cardinality, EnumId, Field, Kind, Message, MessageId, Schema, WellKnown};
use serde_json::{Map, Value, json};

use crate::form::Form;
use crate::text::{describe, object};
use crate::{Api, Errors, Json};

/// `google.api.field_behavior`.
pub(crate) const REQUIRED: i32 = 2;
pub(crate) const OUTPUT_ONLY: i32 = 3;
const INPUT_ONLY: i32 = 4;
/// What operations that failed have, and errors are unless another style is configured. Written by hand: its details may
/// be of any type.
pub(crate) const STATUS: &str = "google.rpc.Status";

/// The components of one backend, collected as they are referred to.
pub(crate) struct Components<'s> {
    pub(crate) schema: &'s Schema,
    /// What is usual, and needs no suffix.
    pub(crate) json: Json,
    pub(crate) errors: Errors,
    /// Before every name; empty unless two backends disagree.
    prefix: String,
    schemas: BTreeMap<String, Value>,
    /// Referred to and not yet written: messages nest deeper than a stack may.
    waiting: Vec<(String, MessageId, Form)>,
}

impl<'s> Components<'s> {
    pub(crate) fn new(schema: &'s Schema, api: &Api<'_>, prefix: String) -> Self {
        let Api { json, errors, .. } = *api;
        Self { schema, json, errors, prefix, schemas: BTreeMap::new(), waiting: Vec::new() }
    }

    /// All of them.
    pub(crate) fn finish(mut self) -> BTreeMap<String, Value> {
        while let Some((name, message, form)) = self.waiting.pop() {
            let written = Value::Object(self.object(&self.schema[message], form));
            self.schemas.insert(name, written);
        }
        self.schemas
    }

    /// A field with all its values, and what its author wrote about it.
    pub(crate) fn field(&mut self, field: &Field, form: Form) -> Value {
        let value = match (field.cardinality, field.kind) {
            (Cardinality::Map, Kind::Message(entry)) => {
                let entry = &self.schema[entry];
                let value = entry.field("value").map(|value| self.scalar(value.kind, form));
                json!({ "type": "object", "additionalProperties": value })
            }
            (Cardinality::Repeated { .. }, kind) => json!({ "type": "array", "items": self.scalar(kind, form) }),
            (_, kind) => self.scalar(kind, form),
        };
        let mut value = object(value);
        describe(&mut value, &field.source.comment);
        for (is, key) in [
            (field.deprecated, "deprecated"),
            (field.behavior.contains(&OUTPUT_ONLY), "readOnly"),
            (field.behavior.contains(&INPUT_ONLY), "writeOnly"),
        ] {
            if is {
                value.insert(key.to_owned(), true.into());
            }
        }
        Value::Object(value)
    }

    /// One value.
    pub(crate) fn scalar(&mut self, kind: Kind, form: Form) -> Value {
        match kind {
            Kind::Bool if form.is_loose() => json!({ "type": ["boolean", "string", "integer"] }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String if form.is_loose() => json!({ "type": ["string", "number", "boolean"] }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Double => float("double"),
            Kind::Float => float("float"),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]+$" }),
            Kind::Enum(_) if form.is_loose() => json!({ "type": ["string", "integer"] }),
            Kind::Enum(id) => self.enumeration(id, form),
            Kind::Message(id) => self.message(id, form),
        }
    }

    fn enumeration(&mut self, id: EnumId, form: Form) -> Value {
        let schema = self.schema;
        let declared = &schema[id];
        if declared.null_value {
            return json!({ "type": "null" });
        }
        let name = format!("{}{}{}", self.prefix, declared.name, form.of_enum(self.json));
        if !self.schemas.contains_key(&name) {
            let mut comment = declared.source.comment.to_string();
            for value in &declared.values {
                let about = value.source.comment.replace('\n', " ");
                comment.push_str(&format!(
                    "\n\n- `{}` ({}){}{about}",
                    value.name,
                    value.number,
                    if about.is_empty() { "" } else { ": " }
                ));
            }
            let mut written = if form.enum_numbers {
                object(json!({ "type": "integer", "format": "int32" }))
            } else {
                let names: Vec<&str> = declared.values.iter().map(|value| &*value.name).collect();
                object(json!({ "type": "string", "enum": names }))
            };
            describe(&mut written, comment.trim());
            if declared.deprecated {
                written.insert("deprecated".to_owned(), true.into());
            }
            self.schemas.insert(name.clone(), Value::Object(written));
        }
        refer(&name)
    }

    /// A message: its own form, or a reference.
    pub(crate) fn message(&mut self, id: MessageId, form: Form) -> Value {
        let schema = self.schema;
        let message = &schema[id];
        match message.well_known {
            Some(WellKnown::Timestamp) => json!({ "type": "string", "format": "date-time" }),
            Some(WellKnown::Duration) => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" }),
            Some(WellKnown::FieldMask) => {
                json!({ "type": "string", "description": "Paths of fields, separated by commas." })
            }
            Some(WellKnown::Wrapper(kind)) => self.scalar(kind, form),
            Some(WellKnown::Struct | WellKnown::Empty) => json!({ "type": "object" }),
            Some(WellKnown::ListValue) => json!({ "type": "array", "items": {} }),
            Some(WellKnown::Value) => json!({}),
            Some(WellKnown::Any) => {
                json!({ "type": "object", "properties": { "@type": { "type": "string" } }, "additionalProperties": true })
            }
            None if *message.name == *STATUS => refer(STATUS),
            None => {
                let name = format!("{}{}{}", self.prefix, message.name, form.of_message(schema, id, self.json));
                if !self.schemas.contains_key(&name) {
                    self.schemas.insert(name.clone(), Value::Null);
                    self.waiting.push((name.clone(), id, form));
                }
                refer(&name)
            }
        }
    }

    /// The schema of a message's fields.
    pub(crate) fn object(&mut self, message: &Message, form: Form) -> Map<String, Value> {
        let fields = message.fields.iter().map(|field| (form.name(field).to_owned(), self.field(field, form)));
        let properties: Map<String, Value> = fields.collect();
        let mut written =
            object(json!({ "type": "object", "properties": properties, "additionalProperties": form.is_open() }));
        describe(&mut written, &message.source.comment);
        let oneofs: Vec<Value> = (0..).zip(&message.oneofs).map(|(at, _)| one_of(message, at, form)).collect();
        if !oneofs.is_empty() && !form.is_loose() {
            written.insert("allOf".to_owned(), oneofs.into());
        }
        if message.deprecated {
            written.insert("deprecated".to_owned(), true.into());
        }
        written
    }
}

/// One member of a oneof, or none.
fn one_of(message: &Message, oneof: u32, form: Form) -> Value {
    let members = message.fields.iter().filter(|field| field.oneof == Some(oneof));
    let mut choices: Vec<Value> = members.map(|field| json!({ "required": [form.name(field)] })).collect();
    choices.push(json!({ "not": { "anyOf": choices } }));
    json!({ "oneOf": choices })
}

/// ProtoJSON writes what JSON's numbers cannot say as strings.
fn float(format: &str) -> Value {
    json!({ "anyOf": [
        { "type": "number", "format": format },
        { "type": "string", "enum": ["NaN", "Infinity", "-Infinity"] },
    ] })
}

pub(crate) fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
