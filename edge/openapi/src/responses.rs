//! What an operation answers: its success, and every error by its status. What else a backend may choose for itself is
//! `default`, in the same form.

use std::collections::BTreeMap;

use malla_transcode::schema::{Idempotency, MessageId};
use serde_json::{Map, Value, json};

use crate::body::{self, Body, LINES};
use crate::components::{Components, STATUS, refer};
use crate::text::{self, object};
use crate::{Binding, Errors};

const OPERATION: &str = "google.longrunning.Operation";
const DEFAULT: &str = "default";
/// An error in another style than `google.rpc.Status`.
const ERROR: &str = "Error";

/// Each status and when it comes.
const ERRORS: [(&str, &str); 16] = [
    (
        "400",
        "The request is not what this operation takes: `details` names each field that is wrong. Or it cannot be done in the present state.",
    ),
    ("401", "No credentials, or ones that are not valid."),
    ("403", "The credentials are not enough."),
    ("404", "There is no such thing."),
    ("408", "The body did not arrive in time."),
    ("409", "It is there already, or was changed by another call at the same time."),
    ("413", "The body is too large."),
    ("414", "The request target is too long."),
    ("415", "The body's media type or content coding is not read here."),
    ("422", "The Idempotency-Key came with another request before."),
    ("429", "A quota is used up."),
    ("500", "Something is broken on this side."),
    ("501", "This is not offered, or not over HTTP and JSON."),
    ("503", "Not now: overloaded, or what is needed is away. Try again, after Retry-After if it is given."),
    ("504", "It was not done before the deadline."),
    (DEFAULT, "Any other error."),
];

/// The shared error responses, by status.
pub(crate) fn shared(errors: Errors) -> Map<String, Value> {
    let content = match errors {
        Errors::Status => json!({ "application/json": { "schema": error(errors) } }),
        Errors::Aip193 => json!({ "application/json": { "schema": enveloped(errors) } }),
        Errors::Problem => json!({ "application/problem+json": { "schema": error(errors) } }),
    };
    let response = |(status, description): (&str, &str)| {
        let mut response = object(json!({ "description": description, "content": content }));
        let header = match status {
            "401" => Some(("WWW-Authenticate", json!({ "schema": { "type": "string" } }))),
            "429" | "503" => {
                Some(("Retry-After", json!({ "description": "Seconds.", "schema": { "type": "integer" } })))
            }
            _ => None,
        };
        if let Some((name, header)) = header {
            response.insert("headers".to_owned(), json!({ name: header }));
        }
        (status.to_owned(), Value::Object(response))
    };
    ERRORS.into_iter().map(response).collect()
}

/// The schemas of errors.
pub(crate) fn schemas(errors: Errors) -> BTreeMap<String, Value> {
    let status = json!({
        "type": "object",
        "description": "An error: its code, what it says, and what is known besides.",
        "properties": {
            "code": { "type": "integer", "format": "int32", "description": "The code of `google.rpc.Code`." },
            "message": { "type": "string" },
            "details": details(),
        },
    });
    let name = json!({ "type": "string", "description": "The name of the code of `google.rpc.Code`." });
    let http = json!({ "type": "integer", "description": "The HTTP status." });
    let own = match errors {
        Errors::Status => None,
        Errors::Aip193 => Some(json!({
            "code": http,
            "message": { "type": "string" },
            "status": name,
            "details": details(),
        })),
        Errors::Problem => Some(json!({
            "title": { "type": "string" },
            "status": http,
            "detail": { "type": "string" },
            "code": name,
            "details": details(),
        })),
    };
    let own = own.map(|properties| (ERROR.to_owned(), json!({ "type": "object", "properties": properties })));
    [(STATUS.to_owned(), status)].into_iter().chain(own).collect()
}

fn error(errors: Errors) -> Value {
    refer(if errors == Errors::Status { STATUS } else { ERROR })
}

/// As it stands at the end of streams.
fn enveloped(errors: Errors) -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": error(errors) },
        "additionalProperties": false,
    })
}

fn details() -> Value {
    json!({ "type": "array", "items": {
        "type": "object", "properties": { "@type": { "type": "string" } }, "additionalProperties": true,
    } })
}

/// An operation's responses.
pub(crate) fn of(binding: &Binding<'_>, types: &mut Components<'_>) -> Value {
    let mut responses = Map::new();
    for status in errors(binding) {
        responses.insert(status.to_owned(), json!({ "$ref": format!("#/components/responses/{status}") }));
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
    ERRORS.into_iter().map(|(status, _)| status).filter(|status| comes(status)).collect()
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
    let description = if comment.is_empty() { "Success".to_owned() } else { comment };
    if binding.success == 204 && !binding.method.server_streaming {
        return json!({ "description": "Success; there is nothing to say." });
    }
    if body::answers_raw(binding) {
        return json!({ "description": "Bytes of any media type.", "content": { "*/*": {} } });
    }
    let schema = match field {
        Some(field) => types.field(field, false),
        None => types.message(message, false),
    };
    if binding.method.server_streaming {
        return json!({ "description": description, "content": stream(&schema, types.errors) });
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
fn stream(element: &Value, errors: Errors) -> Value {
    let items = json!({ "anyOf": [element, enveloped(errors)] });
    let text = |description: &str| json!({ "schema": { "type": "string", "description": description }, "x-malla-items": items });
    json!({
        "application/json": { "schema": { "type": "array", "items": items } },
        LINES: text("A JSON value a line."),
        "text/event-stream": text("Server-sent events, the data of each a JSON value; an error is an event `error`."),
    })
}

fn accepted(binding: &Binding<'_>, types: &mut Components<'_>) -> Value {
    let operation = binding.schema.find_message(OPERATION);
    let operation = operation.map_or_else(|| json!({ "type": "object" }), |id| types.message(id, false));
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
