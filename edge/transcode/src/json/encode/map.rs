//! Maps, sorted by key: they come in whatever order their writer's memory had.

use super::{Run, Stop, order, put_string};
use crate::schema::{Field, Kind};
use crate::wire::{LENGTH, Malformed, Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'w> {
    Number(i128),
    Text(&'w [u8]),
}

impl<'a> Run<'a, '_> {
    /// The object of all entries that follow each other, the first one's tag read already.
    pub(super) fn map(&mut self, field: &'a Field, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let Kind::Message(id) = field.kind else { return Err(Stop::Malformed) };
        let entry = &self.schema[id];
        let [key, value] = entry.fields.as_slice() else { return Err(Stop::Malformed) };
        let (mut ordered, mut entries) = (Vec::new(), Vec::new());
        loop {
            let content = wire.slice()?;
            if self.trusting {
                entries.push(parts(content, key, value)?);
            } else {
                ordered.push(order::in_order(self.schema, entry, content)?);
            }
            let before = wire.at;
            if wire.is_done() || wire.tag()? != (field.number, LENGTH) {
                wire.at = before;
                break;
            }
        }
        for content in &ordered {
            entries.push(parts(content, key, value)?);
        }
        entries.retain(|(_, content)| order::is_declared(self.schema, value.kind, *content));
        // Of equal keys the last one counts.
        entries.sort_by_key(|(name, _)| *name);
        self.out.push(b'{');
        let empty = self.out.len();
        for (at, &(name, mut content)) in entries.iter().enumerate() {
            if entries.get(at + 1).is_some_and(|(next, _)| *next == name) {
                continue;
            }
            self.name(key, name)?;
            self.single(value, &mut content)?;
            self.out.push(b',');
            self.check_size()?;
        }
        if self.out.len() > empty {
            self.out.pop();
        }
        self.out.push(b'}');
        Ok(())
    }

    fn name(&mut self, field: &Field, key: Key<'_>) -> Result<(), Stop> {
        match key {
            Key::Text(text) => {
                if !put_string(text, self.out) {
                    return Err(Stop::Utf8(field.name.clone()));
                }
            }
            Key::Number(number) => {
                self.out.push(b'"');
                match field.kind {
                    Kind::Bool => self.out.extend_from_slice(if number == 0 { b"false" } else { b"true" }),
                    _ if number < 0 => self.signed(i64::try_from(number).unwrap_or_default()),
                    _ => self.unsigned(u64::try_from(number).unwrap_or_default()),
                }
                self.out.push(b'"');
            }
        }
        self.out.push(b':');
        Ok(())
    }
}

/// Key and value of an entry; either may be left out, and is its default then. Twice they are malformed, as an entry is
/// put in order before.
fn parts<'w>(content: &'w [u8], key: &Field, value: &Field) -> Result<(Key<'w>, Wire<'w>), Malformed> {
    let mut wire = Wire::new(content);
    let mut name = if key.kind == Kind::String { Key::Text(b"") } else { Key::Number(0) };
    let mut found = Wire::new(&[0; 8]);
    let mut seen = [false; 2];
    while !wire.is_done() {
        let (number, wire_type) = wire.tag()?;
        match number {
            1 if key.accepts(wire_type) && !seen[0] => {
                name = read(key.kind, &mut wire)?;
                seen[0] = true;
            }
            2 if value.accepts(wire_type) && !seen[1] => {
                found = wire;
                wire.skip(number, wire_type)?;
                seen[1] = true;
            }
            1 if key.accepts(wire_type) => return Err(Malformed),
            2 if value.accepts(wire_type) => return Err(Malformed),
            _ => wire.skip(number, wire_type)?,
        }
    }
    Ok((name, found))
}

fn read<'w>(kind: Kind, wire: &mut Wire<'w>) -> Result<Key<'w>, Malformed> {
    Ok(Key::Number(match kind {
        Kind::String => return Ok(Key::Text(wire.slice()?)),
        Kind::Int32 => i128::from(wire.varint()? as i32),
        Kind::Int64 => i128::from(wire.varint()? as i64),
        Kind::Uint32 => i128::from(wire.varint()? as u32),
        Kind::Uint64 => i128::from(wire.varint()?),
        Kind::Sint32 => {
            let value = wire.varint()? as u32;
            i128::from((value >> 1) as i32 ^ -((value & 1) as i32))
        }
        Kind::Sint64 => {
            let value = wire.varint()?;
            i128::from((value >> 1) as i64 ^ -((value & 1) as i64))
        }
        Kind::Fixed32 => i128::from(wire.fixed32()?),
        Kind::Fixed64 => i128::from(wire.fixed64()?),
        Kind::Sfixed32 => i128::from(wire.fixed32()? as i32),
        Kind::Sfixed64 => i128::from(wire.fixed64()? as i64),
        _ => i128::from(wire.varint()? != 0),
    }))
}
