//! OpenAPI 3.1 for HTTP bindings of gRPC methods: what a transcoding edge takes and answers, told as it is.
//!
//! No I/O and no HTTP types: an [`Api`] goes in, a JSON value comes out, and the same one for the same input, byte for
//! byte. It says what `google.api.http` and ProtoJSON make of a method; whoever serves it says the rest: who may call,
//! which statuses and error bodies there are.
//!
//! What OpenAPI cannot say is told where it would stand: a path takes one segment for each of its parameters, so a
//! variable of several (`{name=shelves/*}`) is a parameter a wildcard, and one that takes any number of segments
//! carries `x-malla-multi-segment`; two RPCs of one method and path, told apart by their query, are one operation that
//! names both (`x-malla-rpcs`); that unknown parameters are ignored is `x-malla-unknown-query`; what the elements of a
//! stream are stands in `x-malla-items`, and that it can be had as a WebSocket in `x-malla-websocket`.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

mod body;
mod components;
mod document;
mod errors;
mod form;
mod merge;
mod operation;
mod parameters;
mod path;
mod responses;
mod text;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use malla_transcode::schema::{Method, Schema};
use malla_transcode::template::Template;

pub use document::document;
pub use yaml::yaml;

/// Everything a document is made of.
#[derive(Debug)]
pub struct Api<'a> {
    /// What the service is called.
    pub title: &'a str,
    /// Its version.
    pub version: &'a str,
    /// How JSON is usually written. What a binding writes otherwise has components of its own, with a suffix.
    pub json: Json,
    /// What errors usually look like.
    pub errors: Errors,
    /// In the order of their declaration, those of one method together; it numbers them.
    pub bindings: Vec<Binding<'a>>,
}

/// How messages are written as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json {
    /// Fields have their names of the .proto instead of `lowerCamelCase`.
    pub proto_names: bool,
    /// Enums are numbers.
    pub enum_numbers: bool,
    /// Fields with their default value are written too.
    pub emit_defaults: bool,
}

/// What the body of an error is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errors {
    /// `google.rpc.Status`.
    #[default]
    Status,
    /// `{"error": {...}}` (AIP-193).
    Aip193,
    /// `application/problem+json` (RFC 9457).
    Problem,
}

/// One HTTP binding of a method.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Short name of who serves it. Messages of one name that differ between backends are told apart by it.
    pub backend: &'a str,
    /// The backend's schema.
    pub schema: &'a Schema,
    /// The method, one of the schema's.
    pub method: &'a Method,
    /// The HTTP method; `*` for any.
    pub http_method: &'a str,
    /// The path.
    pub template: &'a Template,
    /// The field that the request's body is; `*` for the whole message, empty for none.
    pub body: &'a str,
    /// The field that the answer's body is; empty for the whole message.
    pub response_body: &'a str,
    /// Query parameters without which it does not match.
    pub required_query: &'a [String],
    /// Whether fields may come from query, form or JSON alike, and loosely typed.
    pub lenient: bool,
    /// Other names of fields: parameter or JSON key -> field path.
    pub aliases: &'a BTreeMap<String, String>,
    /// Who may call it.
    pub access: Access,
    /// HTTP status of a success.
    pub success: u16,
    /// Whether a call may be answered with 202 and carried out later.
    pub deferrable: bool,
    /// How its JSON is written.
    pub json: Json,
    /// What its errors look like.
    pub errors: Errors,
    /// Whether fields that a message does not have are ignored.
    pub ignore_unknown_fields: bool,
    /// Whether parameters of a query or a form that are no fields are ignored.
    pub ignore_unknown_parameters: bool,
    /// Whether what may be any JSON is a JSON text in a query.
    pub json_parameters: bool,
}

/// Who may call a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    #[default]
    Anyone,
    /// Anyone; whoever sends a token is known by it, and one that is not valid is refused.
    OptionalUser,
    /// A user, by a token.
    User,
    /// An operator, by a token.
    Operator,
}
