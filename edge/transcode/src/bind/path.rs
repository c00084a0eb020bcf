//! Field paths as clients write them: `sub.deep.x`, `sub.deepName`, `labels[key]`, `[pkg.extension].x`.
//!
//! Resolved, a path is the fields' positions in their messages, from the outermost inwards.

use std::fmt;

use crate::nearest;
use crate::schema::{Field, Kind, Message, MessageId, Schema};

/// Deepest nesting a path may name. Whoever reads a message recurses, and backends stop at 100.
const DEPTH_MAX: usize = 64;

/// What is wrong with a path, to follow its text.
#[derive(Debug)]
pub(crate) enum Wrong<'p> {
    /// There is no such field. Which one may have been meant is looked for when it is told.
    Unknown(&'p Message, &'p str),
    Other(String),
}

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(text) => formatter.write_str(text),
            Self::Unknown(message, name) => {
                formatter.write_str("is not a field of this request")?;
                nearest(name, message.names()).map_or(Ok(()), |near| write!(formatter, "; did you mean {near}?"))
            }
        }
    }
}

impl From<Wrong<'_>> for String {
    fn from(wrong: Wrong<'_>) -> Self {
        wrong.to_string()
    }
}

/// Appends the positions of a path's fields, named in either way, to those that lead to `message`. All but the last are
/// singular messages.
///
/// Returns the key, for `labels[key]`.
///
/// # Errors
/// What is wrong with the path.
pub(crate) fn resolve<'p>(
    schema: &'p Schema,
    mut message: MessageId,
    path: &'p str,
    positions: &mut Vec<usize>,
) -> Result<Option<&'p str>, Wrong<'p>> {
    let other = |text: &str| Err(Wrong::Other(text.to_owned()));
    let mut rest = path;
    loop {
        if positions.len() > DEPTH_MAX {
            return other(&format!("is nested deeper than {DEPTH_MAX}"));
        }
        let end = if rest.starts_with('[') { rest.find(']').map(|at| at + 1) } else { rest.find(['.', '[']) };
        // A name in JSON may be any text, brackets included.
        let end = end.filter(|_| schema[message].position(rest.as_bytes()).is_none());
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let position = schema[message].position(name.as_bytes()).ok_or(Wrong::Unknown(&schema[message], name))?;
        positions.push(position);
        let field = &schema[message].fields[position];
        if schema.is_group(&schema[message], field) {
            return other("names a group, which only a JSON body can hold");
        }
        if after.is_empty() {
            return if field.is_map() { other(&format!("is a map; write {path}[key]=value")) } else { Ok(None) };
        }
        if let Some(key) = after.strip_prefix('[').and_then(|after| after.strip_suffix(']')) {
            return if field.is_map() { Ok(Some(key)) } else { other("is not a map") };
        }
        (message, rest) = match (field.kind, after.strip_prefix('.')) {
            (Kind::Message(inner), Some(rest)) if !field.is_repeated() => (inner, rest),
            _ => return other(&format!("{name} has no fields to name")),
        };
    }
}

/// The fields of a resolved path, each with its message.
pub(crate) fn fields<'s>(
    schema: &'s Schema,
    message: MessageId,
    path: &[usize],
) -> impl Iterator<Item = (MessageId, &'s Field)> {
    let mut next = Some(message);
    path.iter().map_while(move |position| {
        let message = next?;
        let field = schema[message].fields.get(*position)?;
        next = if let Kind::Message(inner) = field.kind { Some(inner) } else { None };
        Some((message, field))
    })
}

/// The field that a resolved path leads to.
pub(crate) fn last<'s>(schema: &'s Schema, message: MessageId, path: &[usize]) -> &'s Field {
    fields(schema, message, path).last().expect("a resolved path has a field").1
}

/// A resolved path in its proto's names.
pub(crate) fn name(schema: &Schema, message: MessageId, path: &[usize]) -> String {
    fields(schema, message, path).map(|(_, field)| &*field.name).collect::<Vec<_>>().join(".")
}
