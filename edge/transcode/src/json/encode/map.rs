//! Maps, sorted by key: they come in whatever order their writer's memory had.

use super::{Run, Stop, order, put_string};
use crate::schema::{Field, Kind};
use crate::wire::{Integer, LENGTH, Malformed, Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'w> {
    Number(Integer),
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
                match (field.kind, number) {
                    (Kind::Bool, Integer::Unsigned(0)) => self.out.extend_from_slice(b"false"),
                    (Kind::Bool, _) => self.out.extend_from_slice(b"true"),
                    _ => self.integer(number),
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
    let mut name = read(key.kind, &mut Wire::new(&[0; 8]))?;
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
    if kind == Kind::String { Ok(Key::Text(wire.slice()?)) } else { Ok(Key::Number(wire.integer(kind)?)) }
}
