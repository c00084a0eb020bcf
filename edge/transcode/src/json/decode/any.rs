//! `google.protobuf.Any`: an object that says by its `@type` what it is.

use std::borrow::Cow;

use super::{Run, Said, Stop};
use crate::json::type_of;
use crate::schema::{MessageId, WellKnown};
use crate::wire::{self, LENGTH};

/// An `@type` may come last, and in each of nested messages, so the text may be read again. But not much more often.
pub(super) const LOOKAHEAD_FACTOR: usize = 4;

impl<'a> Run<'a, '_> {
    /// The content of an `Any`.
    pub(super) fn any(&mut self) -> Result<(), Stop> {
        let start = self.begin(b'{', "an object")?;
        if self.lexer.eat(b'}') {
            return Ok(());
        }
        let Some(url) = self.type_url()? else {
            return Err(self.fault(start, "must have an \"@type\" that is a string"));
        };
        let Some((schema, id)) = type_of(&url, self.schema, self.options.any) else {
            let url = String::from_utf8_lossy(&url);
            return Err(self.fault(start, format!("has an \"@type\" that is not known: {url}")));
        };
        wire::put_tag(self.out, 1, LENGTH);
        wire::put_bytes(self.out, &url);
        let before = self.out.len();
        wire::put_tag(self.out, 2, LENGTH);
        let content = wire::open(self.out);
        self.lexer.at = start;
        let outer = std::mem::replace(&mut self.schema, schema);
        let result = match schema[id].well_known {
            None => self.nested(1, |run| run.object(id, &[], Said::Typed)),
            Some(known) => self.value_of(id, known),
        };
        self.schema = outer;
        result?;
        if self.out.len() == content {
            self.out.truncate(before);
        } else {
            wire::close(self.out, content);
        }
        Ok(())
    }

    /// Looks for the `@type` in the object whose bracket was just passed over; to be read from there again.
    fn type_url(&mut self) -> Result<Option<Cow<'a, [u8]>>, Stop> {
        loop {
            let key = self.lexer.string()?.value();
            self.lexer.expect(b':', "':'")?;
            if *key == *b"@type" {
                return Ok(if self.lexer.peek() == b'"' { Some(self.lexer.string()?.value()) } else { None });
            }
            let value_at = self.lexer.at;
            self.lexer.skip()?;
            let Some(left) = self.lookahead.checked_sub(self.lexer.at - value_at) else {
                return Err(self.fault(value_at, "comes before the \"@type\" and is too long for that"));
            };
            self.lookahead = left;
            if !self.lexer.more(b'}')? {
                return Ok(None);
            }
        }
    }

    /// The content of a well-known message, which stands below `value`.
    fn value_of(&mut self, id: MessageId, known: WellKnown) -> Result<(), Stop> {
        let start = self.begin(b'{', "an object")?;
        let (mut value, mut typed) = (false, false);
        let mut more = true;
        while more {
            self.lexer.peek();
            let key_at = self.lexer.at;
            let key = self.lexer.string()?.value();
            self.lexer.expect(b':', "':'")?;
            match &*key {
                b"value" if !std::mem::replace(&mut value, true) => self.message(id, &[])?,
                b"@type" if !std::mem::replace(&mut typed, true) => self.lexer.skip()?,
                b"value" | b"@type" => return Err(self.fault(key_at, "is there twice")),
                _ => self.unknown(&self.schema[id], &key, key_at)?,
            }
            more = self.lexer.more(b'}')?;
        }
        if !value && known != WellKnown::Empty {
            return Err(self.fault(start, "must have a \"value\""));
        }
        Ok(())
    }
}
