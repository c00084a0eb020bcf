//! Well-known types with a JSON form of their own.

use super::{Run, Stop};
use crate::number;
use crate::schema::{Kind, Message, WellKnown};
use crate::text;
use crate::wire::{self, FIXED64, LENGTH, VARINT};

impl<'a> Run<'a, '_> {
    /// A well-known message's content.
    pub(super) fn known(&mut self, message: &'a Message, known: WellKnown) -> Result<(), Stop> {
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
            // The only field there is.
            WellKnown::Struct | WellKnown::ListValue => self.present(&message.fields[0], &[]).map(drop),
            WellKnown::Value => self.dynamic(message),
            _ => {
                self.lexer.peek();
                let at = self.lexer.at;
                let text = self.string(Kind::String)?.value();
                let text = std::str::from_utf8(&text).unwrap_or_default();
                text::put_known(known, text, false, self.out).map_err(|description| self.fault(at, description))
            }
        }
    }

    /// The content of a `Value`.
    fn dynamic(&mut self, message: &'a Message) -> Result<(), Stop> {
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
            b'{' => drop(self.present(&message.fields[4], &[])?),
            b'[' => drop(self.present(&message.fields[5], &[])?),
            _ => return Err(self.lexer.no_json("a value").into()),
        }
        Ok(())
    }
}
