//! Well-known types with a JSON form of their own, and what all maps have in common.

use super::{Run, Stop};
use crate::json::lex::Text;
use crate::number;
use crate::schema::{Kind, WellKnown};
use crate::text;
use crate::wire::{self, FIXED64, LENGTH, VARINT};

impl<'a> Run<'a, '_> {
    /// A well-known message's content.
    pub(super) fn known(&mut self, known: WellKnown) -> Result<(), Stop> {
        match known {
            WellKnown::Wrapper(kind) => {
                let start = self.out.len();
                wire::put_tag(self.out, 1, wire::wire_type(kind, false));
                let payload = self.out.len();
                self.scalar(kind)?;
                if self.out[payload..].iter().all(|byte| *byte == 0) {
                    self.out.truncate(start);
                }
                Ok(())
            }
            WellKnown::Struct => self.structure(),
            WellKnown::ListValue => self.list(),
            WellKnown::Value => self.dynamic(),
            _ => {
                self.lexer.peek();
                let at = self.lexer.at;
                let text = self.string(Kind::String)?.value();
                let text = std::str::from_utf8(&text).unwrap_or_default();
                text::put_known(known, text, false, self.out).map_err(|description| self.fault(at, description))
            }
        }
    }

    /// The members of an object that is a map; `entry` writes one and says where its key is in `out`, and how long.
    pub(super) fn entries(
        &mut self,
        mut entry: impl FnMut(&mut Self, Text<'a>) -> Result<(usize, usize), Stop>,
    ) -> Result<(), Stop> {
        self.begin(b'{', "an object")?;
        let first = self.keys.len();
        let mut more = !self.lexer.eat(b'}');
        while more {
            self.lexer.peek();
            let key_at = self.lexer.at;
            let key = self.lexer.string()?;
            self.lexer.expect(b':', "':'")?;
            self.lexer.peek();
            let (value_at, start) = (self.lexer.at, self.out.len());
            let result = entry(self, key);
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

    fn structure(&mut self) -> Result<(), Stop> {
        self.entries(|run, text| {
            wire::put_tag(run.out, 1, LENGTH);
            let content = wire::open(run.out);
            wire::put_tag(run.out, 1, LENGTH);
            let key_at = run.out.len() - content;
            run.key(Kind::String, text)?;
            let key_length = run.out.len() - content - key_at;
            wire::put_tag(run.out, 2, LENGTH);
            let value = wire::open(run.out);
            run.nested(2, Self::dynamic)?;
            wire::close(run.out, value);
            let length = run.out.len() - content;
            wire::close(run.out, content);
            Ok((run.out.len() - length + key_at, key_length))
        })
    }

    fn list(&mut self) -> Result<(), Stop> {
        self.begin(b'[', "an array")?;
        let mut more = !self.lexer.eat(b']');
        while more {
            wire::put_tag(self.out, 1, LENGTH);
            let value = wire::open(self.out);
            self.nested(1, Self::dynamic)?;
            wire::close(self.out, value);
            if self.out.len() > self.end {
                return Err(self.too_large());
            }
            more = self.lexer.more(b']')?;
        }
        Ok(())
    }

    /// The content of a `Value`.
    fn dynamic(&mut self) -> Result<(), Stop> {
        let first = self.lexer.peek();
        let at = self.lexer.at;
        match first {
            b'n' if self.lexer.word("null") => {
                wire::put_tag(self.out, 1, VARINT);
                self.out.push(0);
            }
            b'-' | b'0'..=b'9' => {
                let text = self.lexer.number()?;
                if self.options.exact_values && number::is_inexact(text) {
                    let problem = "is an integer beyond 2^53, which cannot be kept exactly; send it as a string";
                    return Err(self.fault(at, problem));
                }
                let value = number::double(text);
                let value = value.ok_or_else(|| self.fault(at, "must be a number that fits a double"))?;
                wire::put_tag(self.out, 2, FIXED64);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            b'"' => {
                let text = self.lexer.string()?;
                wire::put_tag(self.out, 3, LENGTH);
                wire::put_bytes(self.out, &text.value());
            }
            b't' | b'f' => {
                wire::put_tag(self.out, 4, VARINT);
                self.scalar(Kind::Bool)?;
            }
            b'{' | b'[' => {
                wire::put_tag(self.out, if first == b'{' { 5 } else { 6 }, LENGTH);
                let content = wire::open(self.out);
                self.nested(1, if first == b'{' { Self::structure } else { Self::list })?;
                wire::close(self.out, content);
            }
            _ => return Err(self.lexer.no_json("a value").into()),
        }
        Ok(())
    }
}
