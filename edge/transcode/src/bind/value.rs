//! One value from text to its bytes on the wire, and messages around it.

use std::convert::Infallible;

use super::path;
use crate::Violation;
use crate::json::{DecodeOptions, Decoder, EncodeError, EncodeOptions, Encoder};
use crate::schema::{Cardinality, Field, Kind, MessageId, Schema, WellKnown};
use crate::text;
use crate::wire::{self, END, FIXED32, FIXED64, LENGTH, START};

/// How values are read from the texts of a path, a query or a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'s> {
    pub(super) schema: &'s Schema,
    pub(super) lenient: bool,
    /// How messages that stand for any JSON are read; `None` where they are not.
    pub(super) json: Option<DecodeOptions<'s>>,
    pub(super) refuse_control_characters: bool,
}

impl Reader<'_> {
    /// Appends one value of a field with its tag, nothing for a default that is not written. A packed field gets one more
    /// packed part.
    ///
    /// # Errors
    /// What the value must be, places being within it; something may have been appended.
    pub(super) fn put(&self, field: &Field, value: &str, out: &mut Vec<u8>) -> Result<(), Vec<Violation>> {
        const STRING_VALUE: u32 = 3;
        let Self { schema, lenient, json, refuse_control_characters } = *self;
        if refuse_control_characters && let Some(control) = value.chars().find(|letter| letter.is_control()) {
            return Err(wrong(format!("has the control character U+{:04X}; none is taken here", u32::from(control))));
        }
        match (field.kind, json) {
            (Kind::Message(id), _) if lenient && schema[id].well_known == Some(WellKnown::Value) => {
                framed(field, out, |out| {
                    wire::put_tag(out, STRING_VALUE, LENGTH);
                    wire::put_bytes(out, value.as_bytes());
                    Ok(())
                })
            }
            (Kind::Message(id), Some(options)) if schema[id].well_known.is_some_and(WellKnown::is_any_json) => {
                framed(field, out, |out| Decoder::new(schema, options).message(id, value.as_bytes(), &[], out))
            }
            (kind, _) if field.cardinality == (Cardinality::Repeated { packed: true }) => {
                framed(field, out, |out| text::put(schema, kind, value, lenient, out)).map_err(wrong)
            }
            _ => text::put_field(schema, field, value, lenient, out).map_err(wrong),
        }
    }

    /// Appends the entry of a map, and returns its key's bytes.
    ///
    /// # Errors
    /// What the key or the value must be; something may have been appended.
    pub(super) fn put_entry(
        &self,
        map: &Field,
        key: &str,
        value: &str,
        out: &mut Vec<u8>,
    ) -> Result<Vec<u8>, Vec<Violation>> {
        let not_a_map = || wrong("is not a map");
        let Kind::Message(entry) = map.kind else { return Err(not_a_map()) };
        let [key_field, value_field] = self.schema[entry].fields.as_slice() else { return Err(not_a_map()) };
        let mut written = Vec::new();
        let of_key = |violation: Violation| Violation::new("", format!("has a key that {violation}"));
        let exactly = Self { lenient: false, ..*self };
        let put = exactly.put(key_field, key, &mut written);
        put.map_err(|all| all.into_iter().map(of_key).collect::<Vec<_>>())?;
        framed(map, out, |out| {
            out.extend_from_slice(&written);
            self.put(value_field, value, out)
        })?;
        Ok(written)
    }
}

/// Whether the message that a path's last field is in, if it is a time, a duration or a `Value`, may have this field:
/// each has a range, which JSON keeps to.
///
/// # Errors
/// What is wrong with the message.
pub(super) fn check_range(
    schema: &Schema,
    message: MessageId,
    path: &[usize],
    record: &[u8],
) -> Result<(), Vec<Violation>> {
    let parent = path::fields(schema, message, path).last().map(|(parent, _)| parent);
    let has_range = |parent: &MessageId| {
        matches!(schema[*parent].well_known, Some(WellKnown::Timestamp | WellKnown::Duration | WellKnown::Value))
    };
    let Some(parent) = parent.filter(has_range) else { return Ok(()) };
    match Encoder::new(schema, EncodeOptions::default()).message(parent, record, &mut Vec::new()) {
        Err(EncodeError::NoJson { message, problem }) => Err(wrong(format!("is of a {message} that {problem}"))),
        _ => Ok(()),
    }
}

/// What is wrong with a value as a whole.
pub(super) fn wrong(description: impl Into<String>) -> Vec<Violation> {
    vec![Violation::new("", description)]
}

/// Appends the default of a field with its tag: what comes last on the wire counts, and so does a default.
pub(super) fn put_default(field: &Field, out: &mut Vec<u8>) {
    let wire_type = wire::wire_type(field.kind, false);
    wire::put_tag(out, field.number, wire_type);
    let bytes = match wire_type {
        FIXED64 => 8,
        FIXED32 => 4,
        _ => 1,
    };
    out.extend(std::iter::repeat_n(0, bytes));
}

/// Appends `record` inside of the messages that this path leads through.
pub(super) fn put_within(schema: &Schema, message: MessageId, parents: &[usize], record: &[u8], out: &mut Vec<u8>) {
    let Some((first, rest)) = parents.split_first() else { return out.extend_from_slice(record) };
    let field = &schema[message].fields[*first];
    let Kind::Message(inner) = field.kind else { return };
    let Ok(()) = framed::<Infallible>(field, out, |out| {
        put_within(schema, inner, rest, record, out);
        Ok(())
    });
}

/// Appends a field that has a length, or is between group tags, around what `write` appends.
///
/// # Errors
/// Those of `write`.
pub(super) fn framed<E>(
    field: &Field,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    if field.delimited {
        wire::put_tag(out, field.number, START);
        write(out)?;
        wire::put_tag(out, field.number, END);
        return Ok(());
    }
    wire::put_tag(out, field.number, LENGTH);
    let start = wire::open(out);
    write(out)?;
    wire::close(out, start);
    Ok(())
}
