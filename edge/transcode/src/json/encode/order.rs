//! A message's fields in the order in which they are written as JSON.
//!
//! Almost every message comes so: serializers write fields by their numbers, each once, the elements of a list one
//! after another. What does not is brought into that order first, by protobuf's rules: the last of several values
//! counts, messages merge, and of a oneof the last member counts. So that the encoder need not know these rules.

use std::borrow::Cow;

use crate::schema::{Field, Kind, Message, Schema};
use crate::wire::{self, LENGTH, Malformed, Wire};

/// The fields of `wire` by their numbers, singular ones once, list elements together.
pub(super) fn in_order<'w>(schema: &Schema, message: &Message, wire: &'w [u8]) -> Result<Cow<'w, [u8]>, Malformed> {
    if is_in_order(schema, message, wire)? {
        return Ok(Cow::Borrowed(wire));
    }
    let mut found: Vec<Found<'_>> = Vec::new();
    let mut rest = Wire::new(wire);
    while !rest.is_done() {
        let start = rest.at;
        let (number, wire_type) = rest.tag()?;
        let value = rest;
        rest.skip(number, wire_type)?;
        let Some((position, field)) = known(schema, message, number, wire_type, value) else { continue };
        found.push(Found { position, field, whole: &wire[start..rest.at], payload: &wire[value.at..rest.at] });
    }
    // From the end on: of a oneof the last member counts, and of that what came after any other.
    found.reverse();
    let mut members = vec![(None, false); message.oneofs.len()];
    found.retain(|found| {
        let Some(oneof) = found.field.oneof else { return true };
        let (member, is_over) = &mut members[oneof as usize];
        *is_over |= *member.get_or_insert(found.position) != found.position;
        !*is_over
    });
    found.reverse();
    found.sort_by_key(|found| found.position);
    let mut out = Vec::with_capacity(wire.len());
    for run in found.chunk_by(|a, b| a.position == b.position) {
        match run {
            [.., last] if !last.field.is_repeated() && run.len() > 1 => merge(run, last, &mut out)?,
            _ => run.iter().for_each(|found| out.extend_from_slice(found.whole)),
        }
    }
    Ok(Cow::Owned(out))
}

/// One occurrence of a field.
struct Found<'w> {
    position: usize,
    field: &'w Field,
    /// With its tag.
    whole: &'w [u8],
    payload: &'w [u8],
}

/// Several occurrences of one singular field: the fields of messages one after the other are the merged message.
fn merge(run: &[Found<'_>], last: &Found<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    if !matches!(last.field.kind, Kind::Message(_)) {
        out.extend_from_slice(last.whole);
        return Ok(());
    }
    let (number, delimited) = (last.field.number, last.field.delimited);
    let mut merged = Vec::new();
    for found in run {
        let mut payload = Wire::new(found.payload);
        merged.extend_from_slice(if delimited { payload.group(number)? } else { payload.slice()? });
    }
    if delimited {
        wire::put_tag(out, number, wire::START);
        out.extend_from_slice(&merged);
        wire::put_tag(out, number, wire::END);
    } else {
        wire::put_tag(out, number, LENGTH);
        wire::put_bytes(out, &merged);
    }
    Ok(())
}

/// The field a tag is of, the value being next; one of another wire type counts as unknown, and so does a number that
/// its closed enum does not have: neither takes the place of a value that there is.
#[inline]
pub(super) fn known<'m>(
    schema: &Schema,
    message: &'m Message,
    number: u32,
    wire_type: u8,
    value: Wire<'_>,
) -> Option<(usize, &'m Field)> {
    let position = message.position_of(number)?;
    let field = &message.fields[position];
    (field.accepts(wire_type) && (field.is_repeated() || is_declared(schema, field.kind, value)))
        .then_some((position, field))
}

/// Whether a value is none of a closed enum, or one that it has.
#[inline]
pub(super) fn is_declared(schema: &Schema, kind: Kind, mut value: Wire<'_>) -> bool {
    let Kind::Enum(id) = kind else { return true };
    !schema[id].closed || value.varint().is_ok_and(|number| schema[id].value(number as i32).is_some())
}

fn is_in_order(schema: &Schema, message: &Message, wire: &[u8]) -> Result<bool, Malformed> {
    let mut rest = Wire::new(wire);
    let mut last = None;
    let mut unknown_since = false;
    let mut oneofs = 0_u64;
    while !rest.is_done() {
        let (number, wire_type) = rest.tag()?;
        let value = rest;
        rest.skip(number, wire_type)?;
        let Some((position, field)) = known(schema, message, number, wire_type, value) else {
            unknown_since = true;
            continue;
        };
        if last >= Some(position) && (last > Some(position) || unknown_since || !field.is_repeated()) {
            return Ok(false);
        }
        last = Some(position);
        unknown_since = false;
        if !is_first_of_oneof(field, &mut oneofs) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether no other field of its oneof was there, to judge by `oneofs`, where it is remembered.
#[inline]
pub(super) fn is_first_of_oneof(field: &Field, oneofs: &mut u64) -> bool {
    let Some(oneof) = field.oneof else { return true };
    // Of the many-th oneof nothing is remembered: such a message is put in order.
    let bit = 1_u64.checked_shl(oneof).unwrap_or_default();
    let first = bit != 0 && *oneofs & bit == 0;
    *oneofs |= bit;
    first
}
