//! A template as a path of OpenAPI, whose parameters are one segment each.

use malla_transcode::schema::{Field, Kind, Schema};
use malla_transcode::template::{Segment, Template, Variable};
use serde_json::{Value, json};

use crate::Binding;
use crate::components::Components;
use crate::form::Form;
use crate::text::{describe, object};

/// A path, its parameters' names left open: those of all operations of one path have to be the same.
pub(crate) struct Path<'t> {
    template: &'t Template,
}

/// One wildcard of a template.
struct Wildcard<'t> {
    at: usize,
    multi: bool,
    variable: Option<&'t Variable>,
    /// Its place among the variable's wildcards, from 1, and how many there are.
    nth: usize,
    of: usize,
}

impl<'t> Path<'t> {
    pub(crate) fn of(template: &'t Template) -> Self {
        Self { template }
    }

    /// What the path is without names: paths of one shape are one path.
    pub(crate) fn shape(&self) -> String {
        self.written(&vec![String::new(); self.wildcards().len()])
    }

    /// Its own names for its parameters: the field's, numbered where one field has several.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |(nth, wildcard): (usize, &Wildcard<'_>)| match wildcard.variable {
            Some(variable) if wildcard.of == 1 => variable.field_path.clone(),
            Some(variable) => format!("{}_{}", variable.field_path, wildcard.nth),
            None => format!("segment_{}", nth + 1),
        };
        self.wildcards().iter().enumerate().map(name).collect()
    }

    /// `/v1/shelves/{name}`
    pub(crate) fn written(&self, names: &[String]) -> String {
        let mut names = names.iter();
        let mut path = String::new();
        for segment in &self.template.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Single | Segment::Multi => {
                    path.extend(["{", names.next().map_or("", String::as_str), "}"]);
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        path.extend(self.template.verb.iter().flat_map(|verb| [":", verb]));
        path
    }

    /// The path's parameters under these names.
    pub(crate) fn parameters(&self, binding: &Binding<'_>, names: &[String], types: &mut Components<'_>) -> Vec<Value> {
        let wildcards = self.wildcards();
        wildcards.iter().zip(names).map(|(wildcard, name)| parameter(wildcard, name, binding, types)).collect()
    }

    fn wildcards(&self) -> Vec<Wildcard<'t>> {
        let is_wild = |at: &usize| !matches!(self.template.segments[*at], Segment::Literal(_));
        let wild = |at: usize| {
            let variable = self.template.variables.iter().find(|variable| (variable.start..variable.end).contains(&at));
            let own = variable.map_or(at..at + 1, |variable| variable.start..variable.end);
            Wildcard {
                at,
                multi: self.template.segments[at] == Segment::Multi,
                variable,
                nth: (own.start..=at).filter(is_wild).count(),
                of: own.filter(is_wild).count(),
            }
        };
        (0..self.template.segments.len()).filter(is_wild).map(wild).collect()
    }
}

fn parameter(wildcard: &Wildcard<'_>, name: &str, binding: &Binding<'_>, types: &mut Components<'_>) -> Value {
    let field =
        wildcard.variable.and_then(|variable| field(binding.schema, binding.method.input, &variable.field_path));
    let whole = wildcard.variable.is_some_and(|variable| variable.end - variable.start == 1);
    let mut schema = match field {
        Some(field) if whole => types.scalar(field.kind, Form::of_request(binding)),
        _ => json!({ "type": "string" }),
    };
    if schema["type"] == "string" && schema.get("enum").is_none() && !wildcard.multi {
        schema["minLength"] = 1.into();
    }
    let mut parameter = object(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    let mut comment = field.map_or(String::new(), |field| field.source.comment.to_string());
    if let (Some(variable), false) = (wildcard.variable, whole) {
        let segments = &binding.template.segments[variable.start..variable.end];
        let segments: Vec<String> = segments.iter().map(ToString::to_string).collect();
        let nth = wildcard.at - variable.start + 1;
        comment =
            format!("Segment {nth} of `{}`, which is `{}`.\n\n{comment}", variable.field_path, segments.join("/"));
    }
    if wildcard.multi {
        parameter.insert("x-malla-multi-segment".to_owned(), true.into());
        comment.push_str("\n\nAny number of path segments, whose slashes are sent as they are.");
    }
    describe(&mut parameter, comment.trim());
    Value::Object(parameter)
}

/// The field of a path like `sub.name`.
pub(crate) fn field<'s>(
    schema: &'s Schema,
    message: malla_transcode::schema::MessageId,
    path: &str,
) -> Option<&'s Field> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = schema[message].field(first)?;
    match (rest, field.kind) {
        (None, _) => Some(field),
        (Some(rest), Kind::Message(inner)) => self::field(schema, inner, rest),
        _ => None,
    }
}
