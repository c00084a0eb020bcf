//! Fields with many values: lists and maps.

use super::{Run, Stop};
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
        self.nested(1, |run| {
            run.entries(|run, text| {
                let start = run.out.len();
                wire::put_tag(run.out, field.number, LENGTH);
                let content = wire::open(run.out);
                wire::put_tag(run.out, 1, wire::wire_type(key.kind, false));
                let key_at = run.out.len() - content;
                run.key(key.kind, text)?;
                let key_length = run.out.len() - content - key_at;
                wire::put_tag(run.out, 2, wire::wire_type(value.kind, value.delimited));
                run.lexer.peek();
                let value_at = run.lexer.at;
                let result = run.value(value, &[]);
                if !run.recover(value_at, result, false)? {
                    run.out.truncate(start);
                    return Ok((start, 0));
                }
                let length = run.out.len() - content;
                wire::close(run.out, content);
                Ok((run.out.len() - length + key_at, key_length))
            })
        })
    }
}
