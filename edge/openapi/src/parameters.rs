//! The fields of a message as parameters of a query or a form: every one that has a text form, nested ones by dotted
//! names.

use malla_transcode::schema::{Cardinality, Field, Kind, Message, MessageId, WellKnown};
use serde_json::{Map, Value, json};

use crate::components::{Components, OUTPUT_ONLY, REQUIRED};
use crate::form::Form;
use crate::text::object;

/// Most parameters of one operation; messages that have more are better sent as a body.
const PARAMETERS_MAX: usize = 256;
/// Deepest nesting of a name.
const DEPTH_MAX: usize = 8;

/// One parameter.
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// With the description.
    pub(crate) schema: Map<String, Value>,
    pub(crate) written: Written,
    pub(crate) required: bool,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// `name=value`.
    Plain,
    /// `name[key]=value`.
    Map,
    /// As a JSON text.
    Json,
}

impl Parameter {
    /// As a query parameter.
    pub(crate) fn in_query(mut self) -> Value {
        let mut written = Map::new();
        for key in ["description", "deprecated"] {
            written.extend(self.schema.remove(key).map(|value| (key.to_owned(), value)));
        }
        written.extend(object(json!({ "name": self.name, "in": "query" })));
        written.extend(object(match self.written {
            Written::Plain => json!({ "schema": self.schema }),
            Written::Map => json!({ "schema": self.schema, "style": "deepObject", "explode": true }),
            Written::Json => json!({ "content": { "application/json": { "schema": self.schema } } }),
        }));
        if self.required {
            written.insert("required".to_owned(), true.into());
        }
        Value::Object(written)
    }
}

/// Collects the parameters of a message, without what is `taken` otherwise: fields by their path in the .proto. With `json`
/// what may be any JSON is a parameter too.
pub(crate) fn of(
    message: MessageId,
    taken: &[&str],
    form: Form,
    json: bool,
    types: &mut Components<'_>,
) -> Vec<Parameter> {
    let mut collector = Collector { taken, form, json, types, stack: Vec::new(), found: Vec::new() };
    collector.message(message, "", "");
    collector.found
}

/// One more name of a field.
pub(crate) fn alias(name: &str, field: &Field, form: Form, types: &mut Components<'_>) -> Parameter {
    let schema = object(types.field(field, form));
    Parameter { name: name.to_owned(), schema, written: Written::Plain, required: false }
}

struct Collector<'c, 's> {
    taken: &'c [&'c str],
    form: Form,
    json: bool,
    types: &'c mut Components<'s>,
    stack: Vec<MessageId>,
    found: Vec<Parameter>,
}

impl Collector<'_, '_> {
    /// `path` is of the .proto's names, `name` of those clients see; both empty or with a dot at the end.
    fn message(&mut self, id: MessageId, path: &str, name: &str) {
        if self.stack.contains(&id) || self.stack.len() == DEPTH_MAX {
            return;
        }
        self.stack.push(id);
        for field in &self.types.schema[id].fields {
            let (path, name) = (format!("{path}{}", field.name), format!("{name}{}", self.form.name(field)));
            if !self.taken.contains(&path.as_str()) && !field.extension && !field.behavior.contains(&OUTPUT_ONLY) {
                self.field(field, &path, name);
            }
        }
        self.stack.pop();
    }

    fn field(&mut self, field: &Field, path: &str, name: String) {
        let schema = self.types.schema;
        let has_text = |kind: Kind| match kind {
            Kind::Message(id) => is_text(&schema[id], self.form),
            _ => true,
        };
        let is_json = |kind| {
            let Kind::Message(id) = kind else { return false };
            self.json && !field.is_repeated() && schema[id].well_known.is_some_and(WellKnown::is_any_json)
        };
        let written = match field.kind {
            _ if field.is_map() => Written::Map,
            kind if !has_text(kind) && is_json(kind) => Written::Json,
            _ => Written::Plain,
        };
        let writable = match (field.cardinality, field.kind) {
            (Cardinality::Map, Kind::Message(entry)) => {
                schema[entry].field("value").is_some_and(|value| has_text(value.kind))
            }
            (_, kind) => has_text(kind),
        };
        match field.kind {
            _ if (writable || written == Written::Json) && self.found.len() < PARAMETERS_MAX => {
                let required = field.behavior.contains(&REQUIRED) && self.stack.len() == 1 && !self.form.is_loose();
                let schema = object(self.types.field(field, self.form));
                self.found.push(Parameter { name, schema, written, required });
            }
            Kind::Message(id) if !field.is_repeated() && schema[id].well_known.is_none() => {
                self.message(id, &format!("{path}."), &format!("{name}."));
            }
            // Only JSON can carry it.
            _ => {}
        }
    }
}

/// Whether a message is written as one text.
fn is_text(message: &Message, form: Form) -> bool {
    match message.well_known {
        Some(WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask | WellKnown::Wrapper(_)) => true,
        Some(WellKnown::Value) => form.is_loose(),
        _ => false,
    }
}
