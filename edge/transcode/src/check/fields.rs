//! Names in a binding to fields: those of its variables, of its body and of its response's body.

use super::{Body, Code, Finding};
use crate::nearest;
use crate::rule::Declared;
use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, WellKnown};
use crate::template::{Template, Variable};
use crate::text::has_text;

/// `google.api.field_behavior`'s OUTPUT_ONLY.
const OUTPUT_ONLY: i32 = 3;

/// The fields to a variable's value; none, and a finding, if it has none that can be written as text.
pub(super) fn variable(declared: &Declared<'_>, variable: &Variable, findings: &mut Vec<Finding>) -> Vec<usize> {
    let path = &variable.field_path;
    match fields_to(declared, path) {
        Ok(fields) => {
            if *path == declared.binding.body {
                findings.push(declared.finding(Code::VariableIsBody, format!("{{{path}}} is also the body")));
            }
            fields
        }
        Err((code, message, help)) => {
            findings.push(declared.finding(code, format!("{{{path}}}: {message}")).help(help));
            Vec::new()
        }
    }
}

fn fields_to(declared: &Declared<'_>, path: &str) -> Result<Vec<usize>, (Code, String, String)> {
    let schema = declared.schema;
    let refused = |code, message| Err((code, message, String::new()));
    let mut fields = Vec::new();
    let mut message = &schema[declared.method.input];
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(at) = position(message, name) else {
            return Err((Code::UnknownField, no_field(message, name), did_you_mean(message, name)));
        };
        fields.push(at);
        let field = &message.fields[at];
        let is_last = names.peek().is_none();
        if schema.is_group(message, field) {
            return refused(Code::Group, format!("\"{name}\" is a group"));
        }
        if field.is_repeated() {
            return refused(Code::RepeatedVariable, format!("\"{name}\" may have several values"));
        }
        match field.kind {
            Kind::Message(id) if !is_last => message = &schema[id],
            kind @ Kind::Message(id) if !has_text(schema, kind) => {
                let message = format!("\"{name}\" is the message {}, not one value", schema[id].name);
                return refused(Code::MessageVariable, message);
            }
            _ if !is_last => return refused(Code::NotAMessage, format!("\"{name}\" is not a message")),
            _ => {}
        }
    }
    Ok(fields)
}

/// What `body` names.
pub(super) fn body(declared: &Declared<'_>, findings: &mut Vec<Finding>) -> Body {
    let binding = &declared.binding;
    if !binding.body.is_empty() && matches!(binding.http_method.as_str(), "GET" | "DELETE" | "HEAD") {
        let message = format!("a {} request has a body", binding.http_method);
        findings.push(declared.finding(Code::UnusualBody, message).help("some proxies and clients drop it"));
    }
    match binding.body.as_str() {
        "" => Body::None,
        "*" => Body::Whole,
        name => top_level(declared, "body", name, declared.method.input, findings).map_or(Body::None, Body::Field),
    }
}

/// What `response_body` names.
pub(super) fn response_body(declared: &Declared<'_>, findings: &mut Vec<Finding>) -> Option<usize> {
    match declared.binding.response_body.as_str() {
        "" => None,
        "*" => {
            let finding = declared.finding(Code::StarResponseBody, "response_body cannot be \"*\"".to_owned());
            findings.push(finding.help("leave it out: the whole message is the default"));
            None
        }
        name => top_level(declared, "response_body", name, declared.method.output, findings),
    }
}

fn top_level(
    declared: &Declared<'_>,
    what: &str,
    name: &str,
    message: MessageId,
    findings: &mut Vec<Finding>,
) -> Option<usize> {
    let message = &declared.schema[message];
    if name.contains('.') {
        let finding = declared.finding(Code::DottedBody, format!("{what} \"{name}\" is the field of a field"));
        findings.push(finding.help(format!("only a field of {} itself can be the {what}", message.name)));
        return None;
    }
    let Some(at) = position(message, name) else {
        let finding = declared.finding(Code::UnknownBody, format!("{what}: {}", no_field(message, name)));
        findings.push(finding.help(did_you_mean(message, name)));
        return None;
    };
    if declared.schema.is_group(message, &message.fields[at]) {
        findings.push(declared.finding(Code::Group, format!("{what} \"{name}\" is a group")));
    }
    Some(at)
}

/// Fields that a client may set, but for which there is no place in the request.
pub(super) fn unbound(declared: &Declared<'_>, template: &Template, body: Body, findings: &mut Vec<Finding>) {
    let schema = declared.schema;
    let input = &schema[declared.method.input];
    // A stream's messages come in the body, whatever the rule says.
    if body == Body::Whole || declared.method.client_streaming || input.well_known.is_some() {
        return;
    }
    for (at, field) in input.fields.iter().enumerate() {
        let is_bound = body == Body::Field(at)
            || template.variables.iter().any(|variable| variable.field_path.split('.').next() == Some(&field.name));
        if is_bound || field.extension || field.behavior.contains(&OUTPUT_ONLY) || fits_query(schema, input, field) {
            continue;
        }
        let message = format!("\"{}\" can be set by neither path, query nor body", field.name);
        let help = if is_any_json(schema, field.kind) { ", or take it as JSON (json_parameters)" } else { "" };
        let help = format!("let the body be \"*\" or this field{help}");
        findings.push(declared.finding(Code::UnboundField, message).help(help));
    }
}

/// Whether a query can name each value in the field: repeated messages have no such name.
fn fits_query(schema: &Schema, message: &Message, field: &Field) -> bool {
    let is_one_text = |kind| has_text(schema, kind);
    match (field.cardinality, field.kind) {
        (Cardinality::Map, Kind::Message(entry)) => {
            schema[entry].position_of(2).is_some_and(|at| is_one_text(schema[entry].fields[at].kind))
        }
        (Cardinality::Repeated { .. }, kind) => is_one_text(kind),
        (_, Kind::Message(id)) => schema[id].well_known != Some(WellKnown::Any) && !schema.is_group(message, field),
        _ => true,
    }
}

/// Whether values are, or of a map have, JSON of any form.
fn is_any_json(schema: &Schema, kind: Kind) -> bool {
    let Kind::Message(id) = kind else { return false };
    match schema[id].well_known {
        Some(known) => known.is_any_json(),
        None => schema[id].map_entry && schema[id].field("value").is_some_and(|value| is_any_json(schema, value.kind)),
    }
}

/// In a proto, so in a rule, fields have their proto names; extensions cannot be named at all.
fn position(message: &Message, name: &str) -> Option<usize> {
    message.fields.iter().position(|field| *field.name == *name && !field.extension)
}

fn no_field(message: &Message, name: &str) -> String {
    format!("{} has no field \"{name}\"", message.name)
}

fn did_you_mean(message: &Message, name: &str) -> String {
    let names = message.fields.iter().filter(|field| !field.extension).map(|field| &*field.name);
    nearest(name, names).map_or(String::new(), |name| format!("did you mean \"{name}\"?"))
}
