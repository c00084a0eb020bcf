//! Fields that come under other names. Their own names may follow, and win: so the values are read once all else was.

use std::collections::BTreeMap;

use super::seen::Seen;
use super::{Bound, Decoder, Run, Stop};
use crate::schema::Message;
use crate::wire;

/// Another name, and the path of the field that it is one of: positions, from the outermost message inwards.
pub(crate) type Alias = (String, Vec<usize>);

impl<'a> Decoder<'a> {
    /// The same, of messages whose fields have other names too at the top of the JSON. A field's own name wins over
    /// these, as far as the wire shows what it says: for that, defaults are to be kept.
    pub(crate) fn with_aliases(self, aliases: &'a [Alias]) -> Self {
        Self { aliases, ..self }
    }
}

/// What came under other names.
#[derive(Default)]
pub(super) struct Aliased<'a> {
    aliases: &'a [Alias],
    /// Where the message begins in `out`.
    start: usize,
    /// By the alias's position: where its value is in the text.
    values: BTreeMap<usize, usize>,
}

impl<'a> Aliased<'a> {
    pub(super) fn of(aliases: &'a [Alias], start: usize) -> Self {
        Self { aliases, start, values: BTreeMap::new() }
    }
}

impl<'a> Run<'a, '_> {
    /// Whether an unknown name is an alias; its value is passed over then.
    pub(super) fn is_alias(&mut self, name: &[u8], key_at: usize, aliased: &mut Aliased<'a>) -> Result<bool, Stop> {
        let Some(alias) = aliased.aliases.iter().position(|(alias, _)| alias.as_bytes() == name) else {
            return Ok(false);
        };
        self.lexer.peek();
        if aliased.values.insert(alias, self.lexer.at).is_some() && self.fault(key_at, "is there twice") == Stop::End {
            return Err(Stop::End);
        }
        self.lexer.skip()?;
        Ok(true)
    }

    /// Reads what came under other names, the message's content having been read.
    pub(super) fn aliased(
        &mut self,
        message: &'a Message,
        aliased: Aliased<'a>,
        bound: &[Bound<'_>],
        seen: &mut Seen,
    ) -> Result<(), Stop> {
        let end = self.lexer.at;
        for (alias, value_at) in aliased.values {
            let (_, path) = &aliased.aliases[alias];
            // No field's record is empty: what differs from that is there.
            let is_given = wire::agrees(self.schema, message, path, &[], &self.out[aliased.start..]) == Ok(false);
            let Some((position, rest)) = path.split_first().filter(|_| !is_given) else { continue };
            seen.replace(*position);
            (self.lexer.at, self.inwards) = (value_at, rest);
            match self.member(message, *position, bound) {
                Err(Stop::Value) | Ok(_) => self.inwards = &[],
                Err(stop) => return Err(stop),
            }
        }
        self.lexer.at = end;
        Ok(())
    }
}
