//! One value from text to its bytes on the wire, and messages around it.

use std::convert::Infallible;

use crate::schema::{Cardinality, Field, Kind, MessageId, Schema, WellKnown};
use crate::text;
use crate::wire::{self, END, FIXED32, FIXED64, LENGTH, START};

/// Appends one value of a field with its tag, nothing for a default that is not written. A packed field gets one more
/// packed part.
///
/// # Errors
/// What the value must be; something may have been appended.
pub(super) fn put(schema: &Schema, field: &Field, value: &str, lenient: bool, out: &mut Vec<u8>) -> Result<(), String> {
    const STRING_VALUE: u32 = 3;
    match field.kind {
        Kind::Message(id) if lenient && schema[id].well_known == Some(WellKnown::Value) => framed(field, out, |out| {
            wire::put_tag(out, STRING_VALUE, LENGTH);
            wire::put_bytes(out, value.as_bytes());
            Ok(())
        }),
        kind if field.cardinality == (Cardinality::Repeated { packed: true }) => {
            framed(field, out, |out| text::put(schema, kind, value, lenient, out))
        }
        _ => text::put_field(schema, field, value, lenient, out),
    }
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

/// Appends the entry of a map, and returns its key's bytes.
///
/// # Errors
/// What the key or the value must be; something may have been appended.
pub(super) fn put_entry(
    schema: &Schema,
    map: &Field,
    key: &str,
    value: &str,
    lenient: bool,
    out: &mut Vec<u8>,
) -> Result<Vec<u8>, String> {
    let Kind::Message(entry) = map.kind else { return Err("is not a map".to_owned()) };
    let [key_field, value_field] = schema[entry].fields.as_slice() else { return Err("is not a map".to_owned()) };
    let mut written = Vec::new();
    put(schema, key_field, key, false, &mut written).map_err(|problem| format!("has a key that {problem}"))?;
    framed(map, out, |out| {
        out.extend_from_slice(&written);
        put(schema, value_field, value, lenient, out)
    })?;
    Ok(written)
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
