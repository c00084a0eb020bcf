//! One binding as an operation.

use serde_json::{Map, Value, json};

use crate::body::{self, Body};
use crate::components::Components;
use crate::form::Form;
use crate::parameters;
use crate::path::Path;
use crate::responses::{self, takes_key};
use crate::text::{describe, object, summary};
use crate::{Access, Binding};

pub(crate) const IDEMPOTENCY_KEY: &str = "IdempotencyKey";
pub(crate) const PREFER: &str = "Prefer";
/// That parameters which are no fields are ignored.
pub(crate) const UNKNOWN_QUERY: &str = "x-malla-unknown-query";

/// Writes an operation. `number` is the binding's among those of its method, from 1; `names` are those of the path's
/// parameters.
pub(crate) fn operation(
    binding: &Binding<'_>,
    number: usize,
    names: &[String],
    types: &mut Components<'_>,
) -> Map<String, Value> {
    let method = binding.method;
    let service = method.full_name.rsplit_once('.').map_or("", |(service, _)| service);
    let suffix = if number == 1 { String::new() } else { format!(".{number}") };
    let mut written = object(json!({
        "operationId": format!("{}{suffix}", method.full_name),
        "tags": [service],
        "x-malla-rpcs": [method.path.trim_start_matches('/')],
        "responses": responses::of(binding, types),
        "security": security(binding.access),
    }));
    let comment = &method.source.comment;
    if !comment.is_empty() {
        written.insert("summary".to_owned(), summary(comment).into());
    }
    describe(&mut written, comment);
    for (is, key) in
        [(method.deprecated, "deprecated"), (method.client_streaming || method.server_streaming, "x-malla-websocket")]
    {
        if is {
            written.insert(key.to_owned(), true.into());
        }
    }
    if binding.ignore_unknown_parameters {
        written.insert(UNKNOWN_QUERY.to_owned(), "ignore".into());
    }
    let bound: Vec<&str> = binding.template.variables.iter().map(|variable| variable.field_path.as_str()).collect();
    let mut parameters = Path::of(binding.template).parameters(binding, names, types);
    parameters.extend(query(binding, &bound, types));
    if takes_key(binding) {
        parameters.push(shared(IDEMPOTENCY_KEY));
    }
    if binding.deferrable {
        parameters.push(shared(PREFER));
    }
    if !parameters.is_empty() {
        written.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = Body::of(binding).written(binding, &bound, types) {
        written.insert("requestBody".to_owned(), body);
    }
    written
}

/// Every field that neither the path nor the body carries.
fn query(binding: &Binding<'_>, bound: &[&str], types: &mut Components<'_>) -> Vec<Value> {
    let body = Body::of(binding);
    let mut taken = bound.to_vec();
    match &body {
        // All of the message is bytes; or all fields belong in the body.
        Body::Whole if !binding.lenient || body.is_raw(binding) => return Vec::new(),
        Body::Field(field) => taken.push(&field.name),
        _ => {}
    }
    let mut parameters =
        parameters::of(binding.method.input, &taken, Form::of_request(binding), binding.json_parameters, types);
    parameters.extend(body::aliases(binding, types));
    for name in binding.required_query {
        match parameters.iter_mut().find(|parameter| parameter.name == *name) {
            Some(parameter) => parameter.required = true,
            None => {
                let schema = object(json!({ "type": "string" }));
                let written = parameters::Written::Plain;
                parameters.push(parameters::Parameter { name: name.clone(), schema, written, required: true });
            }
        }
    }
    parameters.into_iter().map(parameters::Parameter::in_query).collect()
}

fn shared(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        Access::OptionalUser => json!([{}, { "user": [] }]),
        Access::User => json!([{ "user": [] }]),
        Access::Operator => json!([{ "operator": [] }]),
    }
}

/// The header parameters that operations refer to.
pub(crate) fn shared_parameters() -> Value {
    json!({
        IDEMPOTENCY_KEY: {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Chosen by the client, a new one for each thing it wants done: with it, a call that is made again is \
                            answered again and done once. It may stand in double quotes.",
            "schema": { "type": "string", "pattern": "^[!#-~][!-~]{0,254}$" },
        },
        PREFER: {
            "name": "Prefer",
            "in": "header",
            "description": "`respond-async`: accept the call, and carry it out later. `wait=10`: give it at most 10 seconds.",
            "schema": { "type": "string" },
            "examples": { "later": { "value": "respond-async" } },
        },
    })
}
