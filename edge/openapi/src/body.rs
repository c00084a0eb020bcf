//! Request bodies: JSON, forms, raw bytes, streams of messages.

use malla_transcode::schema::{Cardinality, Field, Kind, MessageId, Schema, WellKnown};
use serde_json::{Map, Value, json};

use crate::Binding;
use crate::components::{Components, REQUIRED};
use crate::form::Form;
use crate::parameters::{self, Parameter};
use crate::path;
use crate::text::object;

const HTTP_BODY: &str = "google.api.HttpBody";
/// What a stream of JSON values is called when each stands on a line of its own.
pub(crate) const LINES: &str = "application/x-ndjson";

/// A form whose parts may be files, and may be JSON.
const MULTIPART: &str = "multipart/form-data";

/// What a binding's body is.
pub(crate) enum Body<'s> {
    None,
    Whole,
    Field(&'s Field),
}

impl<'s> Body<'s> {
    pub(crate) fn of(binding: &Binding<'s>) -> Self {
        match binding.body {
            "" => Self::None,
            "*" => Self::Whole,
            name => binding.schema[binding.method.input].field(name).map_or(Self::None, Self::Field),
        }
    }

    /// Whether it is bytes of any media type.
    pub(crate) fn is_raw(&self, binding: &Binding<'_>) -> bool {
        match self {
            Self::None => false,
            Self::Whole => is_http_body(binding.schema, Kind::Message(binding.method.input)),
            Self::Field(field) => !field.is_repeated() && is_http_body(binding.schema, field.kind),
        }
    }

    /// The `requestBody`; `taken` are the fields that the path binds.
    pub(crate) fn written(&self, binding: &Binding<'_>, taken: &[&str], types: &mut Components<'_>) -> Option<Value> {
        let mut content = Map::new();
        if self.is_raw(binding) {
            content.insert("*/*".to_owned(), json!({}));
            return Some(json!({ "content": content }));
        }
        let json = match self {
            Self::None => return None,
            Self::Whole => whole(binding, taken, types),
            Self::Field(field) => types.field(field, Form::of_request(binding)),
        };
        if binding.method.client_streaming {
            content.insert("application/json".to_owned(), json!({ "schema": { "type": "array", "items": json } }));
            content.insert(LINES.to_owned(), json!({ "schema": { "type": "string" }, "x-malla-items": json }));
            content.insert(MULTIPART.to_owned(), json!({ "schema": { "type": "object" }, "x-malla-items": json }));
            return Some(json!({ "content": content }));
        }
        content.insert("application/json".to_owned(), json!({ "schema": json }));
        if let Some(form) = self.form(binding, taken, types) {
            content.insert(MULTIPART.to_owned(), with_files(form.clone()));
            content.insert("application/x-www-form-urlencoded".to_owned(), form);
        }
        Some(json!({ "content": content }))
    }

    /// The same fields as a form, where they have a text form.
    fn form(&self, binding: &Binding<'_>, taken: &[&str], types: &mut Components<'_>) -> Option<Value> {
        let (message, taken) = match self {
            Self::Field(Field { kind: Kind::Message(inner), cardinality, .. }) if !is_many(*cardinality) => {
                (*inner, &[][..])
            }
            Self::Whole => (binding.method.input, taken),
            _ => return None,
        };
        let mut fields = match binding.schema[message].well_known {
            None => parameters::of(message, taken, Form::of_request(binding), false, types),
            Some(WellKnown::Struct | WellKnown::Value) if !matches!(self, Self::Whole) => {
                let schema = json!({ "type": "object", "additionalProperties": { "type": "string" } });
                return Some(json!({ "schema": schema }));
            }
            Some(_) => return None,
        };
        if matches!(self, Self::Whole) {
            fields.extend(aliases(binding, types));
        }
        if fields.is_empty() {
            return None;
        }
        let maps =
            fields.iter().filter(|field| field.written == parameters::Written::Map).map(|field| field.name.clone());
        let encoding: Map<String, Value> =
            maps.map(|name| (name, json!({ "style": "deepObject", "explode": true }))).collect();
        let properties = fields.into_iter().map(|field| (field.name, Value::Object(field.schema)));
        let properties: Map<String, Value> = properties.collect();
        let open = binding.lenient || binding.ignore_unknown_parameters;
        let schema = json!({ "type": "object", "properties": properties, "additionalProperties": open });
        let mut form = object(json!({ "schema": schema }));
        if !encoding.is_empty() {
            form.insert("encoding".to_owned(), encoding.into());
        }
        Some(Value::Object(form))
    }
}

/// The same form in parts, which may have any field: what has no text form is a part of JSON or a file.
fn with_files(mut form: Value) -> Value {
    if let Some(schema) = form["schema"].as_object_mut() {
        schema.insert("additionalProperties".to_owned(), true.into());
    }
    form
}

fn is_many(cardinality: Cardinality) -> bool {
    matches!(cardinality, Cardinality::Repeated { .. } | Cardinality::Map)
}

/// The whole message, with the other names its fields have here and with what it must have.
fn whole(binding: &Binding<'_>, taken: &[&str], types: &mut Components<'_>) -> Value {
    let (message, form) = (&binding.schema[binding.method.input], Form::of_request(binding));
    let mut written = if binding.aliases.is_empty() || message.well_known.is_some() {
        object(types.message(binding.method.input, form))
    } else {
        let mut inline = types.object(message, form);
        let others = aliases(binding, types).into_iter().map(|alias| (alias.name, Value::Object(alias.schema)));
        if let Some(properties) = inline.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(others);
        }
        inline
    };
    let required = message.fields.iter().filter(|field| field.behavior.contains(&REQUIRED));
    let required = required.filter(|field| !taken.contains(&&*field.name)).map(|field| form.name(field));
    let required: Vec<&str> = required.collect();
    if !required.is_empty() && !binding.lenient && message.well_known.is_none() {
        written.insert("required".to_owned(), required.into());
    }
    Value::Object(written)
}

/// The other names that fields have on a binding.
pub(crate) fn aliases(binding: &Binding<'_>, types: &mut Components<'_>) -> Vec<Parameter> {
    let named = binding.aliases.iter().filter_map(|(name, target)| {
        let field = path::field(binding.schema, binding.method.input, target)?;
        Some(parameters::alias(name, field, Form::of_request(binding), types))
    });
    named.collect()
}

/// Whether answers are bytes of any media type.
pub(crate) fn answers_raw(binding: &Binding<'_>) -> bool {
    match answer(binding) {
        (_, Some(field)) => !field.is_repeated() && is_http_body(binding.schema, field.kind),
        (message, None) => is_http_body(binding.schema, Kind::Message(message)),
    }
}

/// The message a binding answers with, and the field of it that alone is the answer.
pub(crate) fn answer<'s>(binding: &Binding<'s>) -> (MessageId, Option<&'s Field>) {
    let message = binding.method.output;
    let field = Some(binding.response_body).filter(|name| !name.is_empty());
    (message, field.and_then(|name| binding.schema[message].field(name)))
}

fn is_http_body(schema: &Schema, kind: Kind) -> bool {
    matches!(kind, Kind::Message(id) if *schema[id].name == *HTTP_BODY)
}
