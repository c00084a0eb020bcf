//! What errors look like: a response for each status, in each style that some binding has. What else a backend may choose
//! for itself is `default`, in the same form.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::components::{Components, STATUS, refer};
use crate::text::object;
use crate::{Api, Binding, Errors};

const DEFAULT: &str = "default";
const TOO_LONG: &str = "414";
/// An error in another style than `google.rpc.Status`.
const ERROR: &str = "Error";
const PLACE: &str = "#/components/responses/";

/// Each status and when it comes.
pub(crate) const STATUSES: [(&str, &str); 16] = [
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
    (TOO_LONG, "The request target is too long."),
    ("415", "The body's media type or content coding is not read here."),
    ("422", "The Idempotency-Key came with another request before."),
    ("429", "A quota is used up."),
    ("500", "Something is broken on this side."),
    ("501", "This is not offered, or not over HTTP and JSON."),
    ("503", "Not now: overloaded, or what is needed is away. Try again, after Retry-After if it is given."),
    ("504", "It was not done before the deadline."),
    (DEFAULT, "Any other error."),
];

/// A style of errors. What it has of its own gets a suffix, unless it is the usual one.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    errors: Errors,
    usual: Errors,
}

impl Style {
    /// That of a binding.
    pub(crate) fn of(binding: &Binding<'_>, types: &Components<'_>) -> Self {
        Self { errors: binding.errors, usual: types.errors }
    }

    fn all(api: &Api<'_>) -> impl Iterator<Item = Self> {
        let all: BTreeSet<Errors> = api.bindings.iter().map(|binding| binding.errors).chain([api.errors]).collect();
        all.into_iter().map(|errors| Self { errors, usual: api.errors })
    }

    /// A reference to the response of a status.
    pub(crate) fn refer(self, status: &str) -> Value {
        // That one comes before there is a route.
        let name = if status == TOO_LONG { status.to_owned() } else { self.named(status) };
        json!({ "$ref": format!("{PLACE}{name}") })
    }

    /// An error as it stands at the end of streams.
    pub(crate) fn enveloped(self) -> Value {
        json!({
            "type": "object",
            "required": ["error"],
            "properties": { "error": self.error() },
            "additionalProperties": false,
        })
    }

    fn error(self) -> Value {
        if self.errors == Errors::Status { refer(STATUS) } else { refer(&self.named(ERROR)) }
    }

    fn named(self, name: &str) -> String {
        let suffix = match self.errors {
            errors if errors == self.usual => "",
            Errors::Status => "-status",
            Errors::Aip193 => "-aip193",
            Errors::Problem => "-problem",
        };
        format!("{name}{suffix}")
    }

    fn response(self, status: &str, description: &str) -> Value {
        let content = match self.errors {
            Errors::Status => json!({ "application/json": { "schema": self.error() } }),
            Errors::Aip193 => json!({ "application/json": { "schema": self.enveloped() } }),
            Errors::Problem => json!({ "application/problem+json": { "schema": self.error() } }),
        };
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
        Value::Object(response)
    }

    /// The fields of an error that is no `google.rpc.Status`.
    fn fields(self) -> Option<Value> {
        let name = json!({ "type": "string", "description": "The name of the code of `google.rpc.Code`." });
        let http = json!({ "type": "integer", "description": "The HTTP status." });
        match self.errors {
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
        }
    }
}

/// The responses that operations refer to.
pub(crate) fn responses(api: &Api<'_>) -> Map<String, Value> {
    let in_style = |style: Style| {
        STATUSES.into_iter().map(move |(status, about)| (style.named(status), style.response(status, about)))
    };
    Style::all(api).flat_map(in_style).collect()
}

/// A response itself, where there is a reference to one of those.
pub(crate) fn resolved(response: Value, responses: &Map<String, Value>) -> Value {
    let name = response["$ref"].as_str().and_then(|target| target.strip_prefix(PLACE));
    name.and_then(|name| responses.get(name)).cloned().unwrap_or(response)
}

/// The schemas of errors.
pub(crate) fn schemas(api: &Api<'_>) -> BTreeMap<String, Value> {
    let status = json!({
        "type": "object",
        "description": "An error: its code, what it says, and what is known besides.",
        "properties": {
            "code": { "type": "integer", "format": "int32", "description": "The code of `google.rpc.Code`." },
            "message": { "type": "string" },
            "details": details(),
        },
    });
    let own = Style::all(api).filter_map(|style| {
        let schema = json!({ "type": "object", "properties": style.fields()? });
        Some((style.named(ERROR), schema))
    });
    [(STATUS.to_owned(), status)].into_iter().chain(own).collect()
}

fn details() -> Value {
    json!({ "type": "array", "items": {
        "type": "object", "properties": { "@type": { "type": "string" } }, "additionalProperties": true,
    } })
}
