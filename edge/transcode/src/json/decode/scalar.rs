//! Scalars, enums, and the keys of maps.

use std::borrow::Cow;

use super::{Run, Stop};
use crate::json::lex::{Lexer, Text};
use crate::schema::{EnumId, Kind};
use crate::wire;
use crate::{base64, number, text};

impl<'a> Run<'a, '_> {
    /// One value without its tag; `false` for a name of no enum value that is to be ignored.
    #[inline]
    pub(super) fn scalar(&mut self, kind: Kind) -> Result<bool, Stop> {
        let (at, start) = (self.lexer.at, self.out.len());
        let result = self.strict(kind);
        if result == Err(Stop::Value) && self.options.lenient { self.loose(kind, at, start) } else { result }
    }

    /// The value just refused, read as loosely typed clients write it: any scalar for a string, `"True"` or 1 for a bool,
    /// an enum's name in any case.
    #[cold]
    fn loose(&mut self, kind: Kind, at: usize, start: usize) -> Result<bool, Stop> {
        let mut lexer = Lexer { at, ..Lexer::new(self.lexer.text) };
        let text = match lexer.peek() {
            _ if !matches!(kind, Kind::Bool | Kind::String | Kind::Enum(_)) => return Err(Stop::Value),
            b'"' => lexer.string()?.value(),
            b't' if lexer.word("true") => Cow::Borrowed(b"true".as_slice()),
            b'f' if lexer.word("false") => Cow::Borrowed(b"false".as_slice()),
            b'-' | b'0'..=b'9' => Cow::Borrowed(lexer.number()?),
            _ => return Err(Stop::Value),
        };
        let mut value = Vec::new();
        if text::put(self.schema, kind, &String::from_utf8_lossy(&text), true, &mut value).is_err() {
            return Err(Stop::Value);
        }
        self.faults.pop();
        self.lexer = lexer;
        self.out.truncate(start);
        self.out.append(&mut value);
        Ok(true)
    }

    #[inline]
    fn strict(&mut self, kind: Kind) -> Result<bool, Stop> {
        match kind {
            Kind::String => {
                let text = self.string(kind)?;
                if text.raw.len() < 0x80 {
                    let start = wire::open(self.out);
                    text.put(self.out);
                    wire::close(self.out, start);
                } else {
                    wire::put_bytes(self.out, &text.value());
                }
            }
            Kind::Bytes => self.bytes()?,
            Kind::Bool if self.lexer.word("true") => self.out.push(1),
            Kind::Bool if self.lexer.word("false") => self.out.push(0),
            Kind::Enum(id) => return self.enumeration(id),
            _ => self.number(kind)?,
        }
        Ok(true)
    }

    /// A string in place of a value of this kind.
    #[inline]
    pub(super) fn string(&mut self, kind: Kind) -> Result<Text<'a>, Stop> {
        if self.lexer.peek() != b'"' {
            return Err(self.fault(self.lexer.at, format!("must be {}", text::expected(kind))));
        }
        Ok(self.lexer.string()?)
    }

    #[inline]
    fn number(&mut self, kind: Kind) -> Result<(), Stop> {
        let first = self.lexer.peek();
        let at = self.lexer.at;
        let valid = match first {
            b'-' | b'0'..=b'9' => text::put_number(kind, self.lexer.number()?, self.out),
            b'"' => text::put_number(kind, &self.lexer.string()?.value(), self.out),
            _ => false,
        };
        if valid { Ok(()) } else { Err(self.fault(at, format!("must be {}", text::expected(kind)))) }
    }

    fn bytes(&mut self) -> Result<(), Stop> {
        self.lexer.peek();
        let at = self.lexer.at;
        let text = self.string(Kind::Bytes)?.value();
        // The length is known before, so that nothing large moves.
        let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
        wire::put_varint(self.out, ((text.len() - padding) * 3 / 4) as u64);
        if base64::decode(&text, self.out) { Ok(()) } else { Err(self.fault(at, "must be base64")) }
    }

    fn enumeration(&mut self, id: EnumId) -> Result<bool, Stop> {
        let values = &self.schema[id];
        let first = self.lexer.peek();
        let at = self.lexer.at;
        let result = match first {
            b'"' => {
                let name = self.lexer.string()?.value();
                match values.number(&name) {
                    Some(number) => text::put_enum_number(values, number, self.out),
                    None if self.options.ignore_unknown && !self.options.lenient => return Ok(false),
                    None => Err(text::no_such_value(values, &String::from_utf8_lossy(&name))),
                }
            }
            b'-' | b'0'..=b'9' => match number::signed(self.lexer.number()?).map(i32::try_from) {
                Some(Ok(number)) => text::put_enum_number(values, number, self.out),
                _ => Err("must be the name of a value or a 32-bit integer".into()),
            },
            b'n' if values.null_value && self.lexer.word("null") => text::put_enum_number(values, 0, self.out),
            _ => Err("must be the name of a value".into()),
        };
        result.map(|()| true).map_err(|description| self.fault(at, description))
    }

    /// A map's key, which JSON has as a string whatever it is.
    pub(super) fn key(&mut self, kind: Kind, key: Text<'a>) -> Result<(), Stop> {
        let name = key.value();
        match (kind, &*name) {
            (Kind::String, name) => wire::put_bytes(self.out, name),
            (Kind::Bool, b"true") => self.out.push(1),
            (Kind::Bool, b"false") => self.out.push(0),
            (_, name) if text::put_number(kind, name, self.out) => {}
            _ => {
                return Err(self.fault(self.lexer.at, format!("has a key that is not {}", text::expected(kind))));
            }
        }
        Ok(())
    }
}
