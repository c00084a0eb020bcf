//! What an operation answers: its success, and every error by its status.

use malla_transcode::schema::{Idempotency, MessageId};
use serde_json::{Map, Value, json};

use crate::Binding;
use crate::body::{self, Body, LINES};
use crate::components::Components;
use crate::errors::{self, Style};
use crate::form::Form;
use crate::text::{self, object};

const OPERATION: &str = "google.longrunning.Operation";

/// An operation's responses.
pub(crate) fn of(binding: &Binding<'_>, types: &mut Components<'_>) -> Value {
    let mut responses = Map::new();
    for status in errors(binding) {
        responses.insert(status.to_owned(), Style::of(binding, types).refer(status));
    }
    responses.insert(binding.success.to_string(), success(binding, types));
    if binding.deferrable {
        responses.insert("202".to_owned(), accepted(binding, types));
    }
    Value::Object(responses)
}

/// All that any backend may answer, and of the edge's own what can come here.
fn errors(binding: &Binding<'_>) -> Vec<&'static str> {
    let has_body = !matches!(Body::of(binding), Body::None);
    let comes = |status: &str| match status {
        "408" | "413" | "415" => has_body,
        "422" => takes_key(binding),
        _ => true,
    };
    errors::STATUSES.into_iter().map(|(status, _)| status).filter(|status| comes(status)).collect()
}

/// Whether an Idempotency-Key says anything here.
pub(crate) fn takes_key(binding: &Binding<'_>) -> bool {
    matches!(binding.http_method, "POST" | "PATCH" | "*")
        && binding.method.idempotency != Idempotency::NoSideEffects
        && !binding.method.client_streaming
        && !binding.method.server_streaming
}

fn success(binding: &Binding<'_>, types: &mut Components<'_>) -> Value {
    let (message, field) = body::answer(binding);
    let comment = text::summary(&binding.schema[message].source.comment);
    let mut description = if comment.is_empty() { "Success".to_owned() } else { comment };
    if binding.json.emit_defaults != types.json.emit_defaults {
        description = format!("{description}. {}", text::defaults(binding.json));
    }
    if binding.success == 204 && !binding.method.server_streaming {
        return json!({ "description": "Success; there is nothing to say." });
    }
    if body::answers_raw(binding) {
        return json!({ "description": "Bytes of any media type.", "content": { "*/*": {} } });
    }
    let schema = match field {
        Some(field) => types.field(field, Form::of_answer(binding)),
        None => types.message(message, Form::of_answer(binding)),
    };
    if binding.method.server_streaming {
        return json!({ "description": description, "content": stream(&schema, Style::of(binding, types)) });
    }
    let mut response =
        object(json!({ "description": description, "content": { "application/json": { "schema": schema } } }));
    let has = |message: MessageId, name| binding.schema[message].field(name).is_some();
    if field.is_some_and(malla_transcode::schema::Field::is_repeated)
        && has(binding.method.input, "page_token")
        && has(message, "next_page_token")
        && binding.http_method == "GET"
    {
        let link =
            json!({ "description": "The next page (RFC 8288), if there is one.", "schema": { "type": "string" } });
        response.insert("headers".to_owned(), json!({ "Link": link }));
    }
    Value::Object(response)
}

/// A stream, laid out as `Accept` asks. One that breaks ends with an element that says so.
fn stream(element: &Value, errors: Style) -> Value {
    let items = json!({ "anyOf": [element, errors.enveloped()] });
    let text = |description: &str| json!({ "schema": { "type": "string", "description": description }, "x-malla-items": items });
    json!({
        "application/json": { "schema": { "type": "array", "items": items } },
        LINES: text("A JSON value a line."),
        "text/event-stream": text("Server-sent events, the data of each a JSON value; an error is an event `error`."),
    })
}

fn accepted(binding: &Binding<'_>, types: &mut Components<'_>) -> Value {
    let operation = binding.schema.find_message(OPERATION);
    let operation =
        operation.map_or_else(|| json!({ "type": "object" }), |id| types.message(id, Form::of_answer(binding)));
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "description": "Accepted, to be carried out later: asked for by `Prefer: respond-async`, or its backend is away.",
        "headers": {
            "Location": text("Where to look for the result."),
            "Retry-After": text("Seconds until it is worth looking."),
            "Idempotency-Key": text("The call's key, chosen by the client or for it."),
        },
        "content": { "application/json": { "schema": operation } },
    })
}
