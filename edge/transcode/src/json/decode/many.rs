//! Fields with many values: lists and maps.

use super::{Run, Stop};
use crate::json::lex::Text;
use crate::schema::{Field, Kind};
use crate::wire::{self, LENGTH};

impl<'a> Run<'a, '_> {
    pub(super) fn array(&mut self, field: &'a Field, packed: bool) -> Result<(), Stop> {
        self.begin(b'[', "an array")?;
        let before = self.out.len();
        let tag = wire::wire_type(field.kind, field.delimited);
        let start = packed.then(|| {
            wire::put_tag(self.out, field.number, LENGTH);
            wire::open(self.out)
        });
        let mut more = !self.lexer.eat(b']');
        while more {
            self.lexer.peek();
            let (value_at, element) = (self.lexer.at, self.out.len());
            if !packed {
                wire::put_tag(self.out, field.number, tag);
            }
            let result = self.value(field, &[]);
            if !self.recover(value_at, result, false)? {
                self.out.truncate(element);
            }
            if self.out.len() > self.end {
                return Err(self.too_large());
            }
            more = self.lexer.more(b']')?;
        }
        match start {
            Some(start) if self.out.len() == start => self.out.truncate(before),
            Some(start) => wire::close(self.out, start),
            None => {}
        }
        Ok(())
    }

    pub(super) fn map(&mut self, field: &'a Field) -> Result<(), Stop> {
        let Kind::Message(entry) = field.kind else { return Ok(()) };
        let schema = self.schema;
        let [key, value] = schema[entry].fields.as_slice() else { return Ok(()) };
        self.nested(1, |run| run.entries(field, (key, value)))
    }

    fn entries(&mut self, map: &'a Field, fields: (&'a Field, &'a Field)) -> Result<(), Stop> {
        self.begin(b'{', "an object")?;
        let first = self.keys.len();
        let mut more = !self.lexer.eat(b'}');
        while more {
            self.lexer.peek();
            let key_at = self.lexer.at;
            let name = self.lexer.string()?;
            self.lexer.expect(b':', "':'")?;
            self.lexer.peek();
            let (value_at, start) = (self.lexer.at, self.out.len());
            let result = self.entry(map, fields, name);
            let (at, length) = self.recover(value_at, result, (start, 0))?;
            if length > 0 {
                self.keys.push((at, length, key_at));
            }
            if self.out.len() > self.end {
                return Err(self.too_large());
            }
            more = self.lexer.more(b'}')?;
        }
        let (keys, out) = (&mut self.keys[first..], &*self.out);
        let key = |(at, length, _): &(usize, usize, usize)| &out[*at..at + length];
        let mut twice = None;
        if !keys.is_sorted_by(|a, b| key(a) < key(b)) {
            keys.sort_unstable_by_key(|entry| (key(entry), entry.2));
            twice = keys.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])).map(|pair| pair[1].2);
        }
        self.keys.truncate(first);
        // Everything was read, so what comes after can be looked at too.
        match twice.map(|key_at| self.fault(key_at, "is there twice")) {
            Some(Stop::End) => Err(Stop::End),
            _ => Ok(()),
        }
    }

    /// One entry; where its key is in `out`, and how long: nothing if there is no entry after all.
    fn entry(
        &mut self,
        map: &'a Field,
        (key, value): (&'a Field, &'a Field),
        name: Text<'a>,
    ) -> Result<(usize, usize), Stop> {
        let start = self.out.len();
        wire::put_tag(self.out, map.number, LENGTH);
        let content = wire::open(self.out);
        wire::put_tag(self.out, 1, wire::wire_type(key.kind, false));
        let key_at = self.out.len() - content;
        self.key(key.kind, name)?;
        let key_length = self.out.len() - content - key_at;
        wire::put_tag(self.out, 2, wire::wire_type(value.kind, value.delimited));
        self.lexer.peek();
        let value_at = self.lexer.at;
        let result = self.value(value, &[]);
        if !self.recover(value_at, result, false)? {
            self.out.truncate(start);
            return Ok((start, 0));
        }
        let length = self.out.len() - content;
        wire::close(self.out, content);
        Ok((self.out.len() - length + key_at, key_length))
    }
}
