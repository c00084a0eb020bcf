//! From ProtoJSON to the wire: one pass over the text, every field written as its value is read.
//!
//! What is wrong with a value is noted and the value passed over, so that one answer names all faults; only what is no
//! JSON ends the pass.

use std::sync::Arc;

use super::lex::{Lexer, NoJson};
use super::locate;
use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, WellKnown};
use crate::violation::{VIOLATIONS_MAX, Violation};
use crate::wire::{self, END};

mod aliases;
mod any;
mod bound;
mod known;
mod many;
mod scalar;
mod seen;

#[cfg(test)]
mod tests;

pub(crate) use aliases::Alias;
use aliases::Aliased;
pub use bound::Bound;
use seen::Seen;

/// What a [`Decoder`] accepts.
#[derive(Clone, Copy, Debug)]
pub struct DecodeOptions<'a> {
    /// Whether fields and enum values that the schema does not have are passed over instead of refused. Default false.
    pub ignore_unknown: bool,
    /// Whether what loosely typed clients write is taken too: any scalar for a string, `"True"` or 1 for a bool, an
    /// enum's name in any case. Default false.
    pub lenient: bool,
    /// Whether an integer in a `google.protobuf.Value`, whose numbers are doubles, is refused if none of them is it,
    /// instead of rounded. Default false.
    pub exact_values: bool,
    /// Whether defaults that proto3 does not write are written all the same: whoever looks at the wire finds all that the
    /// JSON said, but for lists without elements. Default false.
    pub keep_defaults: bool,
    /// Whether required fields may be missing from the outermost message. Default false.
    pub partial: bool,
    /// How deep messages may nest on the wire, entries of maps counted. Default 100, the most that protobuf's parsers
    /// take.
    pub depth_max: usize,
    /// How many bytes a message may have on the wire. Default 64 MiB.
    pub bytes_max: usize,
    /// Where the types of `Any` are looked up that the decoder's own schema lacks. Default nowhere.
    pub any: &'a [Arc<Schema>],
}

impl Default for DecodeOptions<'_> {
    fn default() -> Self {
        Self {
            ignore_unknown: false,
            lenient: false,
            exact_values: false,
            keep_defaults: false,
            partial: false,
            depth_max: 100,
            bytes_max: 64 << 20,
            any: &[],
        }
    }
}

/// Reads ProtoJSON by a schema.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a> {
    schema: &'a Schema,
    options: DecodeOptions<'a>,
    aliases: &'a [Alias],
}

impl<'a> Decoder<'a> {
    /// A decoder of messages of `schema`.
    #[must_use]
    pub fn new(schema: &'a Schema, options: DecodeOptions<'a>) -> Self {
        Self { schema, options, aliases: &[] }
    }

    /// Appends the message that `json` is.
    ///
    /// # Errors
    /// What is wrong with it, at most [`VIOLATIONS_MAX`]; nothing is appended then.
    pub fn message(
        &self,
        id: MessageId,
        json: &[u8],
        bound: &[Bound<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        let said = Said::Outermost { partial: self.options.partial, aliases: self.aliases };
        self.run(json, out, said, |run| run.message(id, bound))
    }

    /// Appends the field at `position` of the message, with its tag, given that `json` is its value; nothing for
    /// `null`. `bound` leads there from that message.
    ///
    /// # Errors
    /// As [`Decoder::message`].
    pub fn field(
        &self,
        id: MessageId,
        position: usize,
        json: &[u8],
        bound: &[Bound<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        let partial = self.options.partial && !self.schema[id].fields[position].is_repeated();
        self.run(json, out, Said::Outermost { partial, aliases: &[] }, |run| {
            let schema = run.schema;
            run.member(&schema[id], position, bound).map(drop)
        })
    }

    fn run(
        &self,
        json: &[u8],
        out: &mut Vec<u8>,
        said: Said<'_>,
        decode: impl FnOnce(&mut Run<'_, '_>) -> Result<(), Stop>,
    ) -> Result<(), Vec<Violation>> {
        if let Err(error) = std::str::from_utf8(json) {
            let field = locate::path(&json[..error.valid_up_to()], error.valid_up_to());
            return Err(vec![Violation::new(field, format!("is not UTF-8 at byte {}", error.valid_up_to()))]);
        }
        let start = out.len();
        let mut run = Run {
            schema: self.schema,
            options: &self.options,
            lexer: Lexer::new(json),
            end: start.saturating_add(self.options.bytes_max),
            out,
            faults: Vec::new(),
            depth: self.options.depth_max,
            keep_defaults: self.options.keep_defaults,
            said,
            inwards: &[],
            keys: Vec::new(),
            lookahead: json.len().saturating_mul(any::LOOKAHEAD_FACTOR),
        };
        let result = decode(&mut run).and_then(|()| {
            run.lexer.peek();
            if run.lexer.at < json.len() { Err(run.lexer.no_json("the end of the text").into()) } else { Ok(()) }
        });
        if result == Err(Stop::NoJson) {
            let (at, expected) = (run.lexer.at, run.lexer.expected);
            let before = &json[..at.min(json.len())];
            let lines = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            run.fault(at, format!("malformed JSON: expected {expected} at line {lines}, column {column}"));
        } else if run.out.len() > run.end && run.faults.is_empty() {
            run.too_large();
        }
        let faults = std::mem::take(&mut run.faults);
        if faults.is_empty() {
            return Ok(());
        }
        out.truncate(start);
        Err(faults.into_iter().map(|fault| fault.violation(json)).collect())
    }
}

/// Why a value was not decoded.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// It is wrong, as was noted; what comes after it can still be looked at.
    Value,
    /// Nothing more is to be looked at.
    End,
    /// It is no JSON, as the lexer knows.
    NoJson,
}

impl From<NoJson> for Stop {
    fn from(NoJson: NoJson) -> Self {
        Self::NoJson
    }
}

struct Fault {
    at: usize,
    /// A field below the value at that offset.
    member: Option<Box<str>>,
    description: String,
}

impl Fault {
    fn violation(self, json: &[u8]) -> Violation {
        let mut field = locate::path(json, self.at);
        if let Some(member) = self.member {
            locate::append(&mut field, &member);
        }
        Violation::new(field, self.description)
    }
}

/// One text being decoded.
struct Run<'a, 'o> {
    schema: &'a Schema,
    options: &'a DecodeOptions<'a>,
    lexer: Lexer<'a>,
    out: &'o mut Vec<u8>,
    /// Where `out` must have ended.
    end: usize,
    faults: Vec<Fault>,
    /// How many levels deeper it may go.
    depth: usize,
    keep_defaults: bool,
    /// What is said of the next message.
    said: Said<'a>,
    /// The path from the next message to the field whose value comes in its place; empty but for aliases.
    inwards: &'a [usize],
    /// The keys of the maps that are open: where they stand in `out`, how long they are, and where in the text.
    keys: Vec<(usize, usize, usize)>,
    /// How many more bytes may be read in search of an `@type`.
    lookahead: usize,
}

/// What is said of an object besides its type.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Said<'a> {
    #[default]
    Nothing,
    /// It may have one `@type`, which says what message it is.
    Typed,
    /// Nothing is around it.
    Outermost {
        /// Whether required fields may be missing.
        partial: bool,
        /// Other names of fields.
        aliases: &'a [Alias],
    },
}

impl<'a> Run<'a, '_> {
    /// Notes what is wrong with the value at this offset.
    #[cold]
    fn fault(&mut self, at: usize, description: impl Into<String>) -> Stop {
        self.faults.push(Fault { at, member: None, description: description.into() });
        if self.faults.len() >= VIOLATIONS_MAX { Stop::End } else { Stop::Value }
    }

    #[cold]
    fn too_large(&mut self) -> Stop {
        let bytes = self.options.bytes_max;
        self.fault(0, format!("has more than {bytes} bytes as a message"));
        Stop::End
    }

    /// Passes over a value that was found wrong.
    #[inline]
    fn recover<T>(&mut self, start: usize, result: Result<T, Stop>, instead: T) -> Result<T, Stop> {
        if result.as_ref().is_err_and(|stop| *stop == Stop::Value) {
            self.lexer.at = start;
            self.lexer.skip()?;
            return Ok(instead);
        }
        result
    }

    /// That many levels deeper.
    #[inline]
    fn nested<T>(&mut self, levels: usize, then: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        let Some(depth) = self.depth.checked_sub(levels) else {
            let most = self.options.depth_max;
            self.fault(self.lexer.at, format!("nests deeper than {most} messages"));
            return Err(Stop::End);
        };
        let outer = std::mem::replace(&mut self.depth, depth);
        let result = then(self);
        self.depth = outer;
        result
    }

    /// A message's content from its JSON, whatever form that has.
    fn message(&mut self, id: MessageId, bound: &[Bound<'_>]) -> Result<(), Stop> {
        let said = std::mem::take(&mut self.said);
        if let Some((position, rest)) = self.inwards.split_first() {
            self.inwards = rest;
            let message = &self.schema[id];
            return self.nested(1, |run| run.member(message, *position, bound).map(drop));
        }
        match self.schema[id].well_known {
            None | Some(WellKnown::Empty) => self.nested(1, |run| run.object(id, bound, said)),
            // Its JSON is one value: there is no leaving out a part.
            Some(_) if !bound.is_empty() => {
                Err(self.fault(self.lexer.at, "is given in part by the path; leave it out"))
            }
            Some(WellKnown::Any) => self.nested(1, Self::any),
            Some(known) => self.nested(1, |run| run.known(&run.schema[id], known)),
        }
    }

    /// A message's fields from an object.
    fn object(&mut self, id: MessageId, bound: &[Bound<'_>], said: Said<'a>) -> Result<(), Stop> {
        let message = &self.schema[id];
        let (partial, mut aliased) = match said {
            Said::Outermost { partial, aliases } => (partial, Aliased::of(aliases, self.out.len())),
            _ => (false, Aliased::default()),
        };
        let start = self.begin(b'{', "an object")?;
        let mut seen = Seen::default();
        for member in bound.iter().filter_map(|bound| message.fields.get(*bound.path.first()?)?.oneof) {
            seen.replace(message.fields.len() + member as usize);
        }
        // Most writers put fields in the order of their numbers, without spaces.
        let likely = if message.is_unambiguous { message.fields.as_slice() } else { &[] };
        let mut types = 0;
        let mut next = 0;
        let mut more = !self.lexer.eat(b'}');
        while more {
            self.lexer.peek();
            let key_at = self.lexer.at;
            let position = if likely.get(next).is_some_and(|field| self.lexer.literal(&field.keys.0.as_bytes()[1..])) {
                Some(next)
            } else {
                let name = self.lexer.string()?.value();
                self.lexer.expect(b':', "':'")?;
                let position = message.position(&name);
                if position.is_none() && said == Said::Typed && *name == *b"@type" {
                    types += 1;
                    self.lexer.skip()?;
                    if types > 1 && self.fault(key_at, "is there twice") == Stop::End {
                        return Err(Stop::End);
                    }
                } else if position.is_none() && !self.is_alias(&name, key_at, &mut aliased)? {
                    self.unknown(message, &name, key_at)?;
                }
                position
            };
            if let Some(position) = position {
                next = position + 1;
                self.lexer.peek();
                let value_at = self.lexer.at;
                let result = self.known_member(message, position, key_at, bound, &mut seen);
                self.recover(value_at, result, ())?;
            }
            if self.out.len() > self.end {
                return Err(self.too_large());
            }
            more = self.lexer.more(b'}')?;
        }
        self.aliased(message, aliased, bound, &mut seen)?;
        if message.has_required && !partial {
            self.check_required(message, bound, &mut seen, start)?;
        }
        Ok(())
    }

    /// Passes over the bracket that a value begins with.
    #[inline]
    fn begin(&mut self, bracket: u8, expected: &str) -> Result<usize, Stop> {
        if !self.lexer.eat(bracket) {
            return Err(self.fault(self.lexer.at, format!("must be {expected}")));
        }
        Ok(self.lexer.at - 1)
    }

    #[cold]
    fn unknown(&mut self, message: &Message, name: &[u8], key_at: usize) -> Result<(), Stop> {
        if !self.options.ignore_unknown {
            let name = String::from_utf8_lossy(name);
            let text = match crate::nearest(&name, message.names()) {
                Some(near) => format!("is not a field of {}; did you mean {near}?", message.name),
                None => format!("is not a field of {}", message.name),
            };
            if self.fault(key_at, text) == Stop::End {
                return Err(Stop::End);
            }
        }
        Ok(self.lexer.skip()?)
    }

    #[cold]
    fn check_required(
        &mut self,
        message: &Message,
        bound: &[Bound<'_>],
        seen: &mut Seen,
        at: usize,
    ) -> Result<(), Stop> {
        for (position, field) in message.fields.iter().enumerate() {
            let elsewhere = || bound.iter().any(|bound| bound.path.first() == Some(&position));
            if field.cardinality == Cardinality::Required && !seen.replace(position) && !elsewhere() {
                self.faults.push(Fault {
                    at,
                    member: Some(field.json_name.clone()),
                    description: "is required".into(),
                });
                if self.faults.len() >= VIOLATIONS_MAX {
                    return Err(Stop::End);
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn known_member(
        &mut self,
        message: &'a Message,
        position: usize,
        key_at: usize,
        bound: &[Bound<'_>],
        seen: &mut Seen,
    ) -> Result<(), Stop> {
        let field = &message.fields[position];
        if seen.replace(position) {
            return Err(self.fault(key_at, "is there twice"));
        }
        let value_at = self.lexer.at;
        let wrote = self.member(message, position, bound)?;
        if let Some(oneof) = field.oneof
            && wrote
            && seen.replace(message.fields.len() + oneof as usize)
            && !bound.iter().any(|bound| bound.path.first() == Some(&position))
        {
            let oneof = &message.oneofs[oneof as usize];
            return Err(self.fault(value_at, format!("another field of the oneof {oneof} is there too")));
        }
        if !wrote && field.cardinality == Cardinality::Required {
            return Err(self.fault(value_at, "is required"));
        }
        Ok(())
    }

    /// One field with its tags; whether it was set, which `null` does not.
    #[inline]
    fn member(&mut self, message: &'a Message, position: usize, bound: &[Bound<'_>]) -> Result<bool, Stop> {
        let field = &message.fields[position];
        if self.lexer.peek() == b'n' && !self.schema.takes_null(field) {
            return if self.lexer.word("null") { Ok(false) } else { Err(self.lexer.no_json("a value").into()) };
        }
        if !bound.is_empty() {
            return self.bound_member(field, position, bound);
        }
        self.present(field, &[])
    }

    #[inline]
    fn present(&mut self, field: &'a Field, bound: &[Bound<'_>]) -> Result<bool, Stop> {
        match field.cardinality {
            Cardinality::Map => self.map(field).map(|()| true),
            Cardinality::Repeated { packed } => self.array(field, packed).map(|()| true),
            _ => {
                let start = self.out.len();
                wire::put_tag(self.out, field.number, wire::wire_type(field.kind, field.delimited));
                let payload = self.out.len();
                let wrote = self.value(field, bound)?;
                if !wrote {
                    self.out.truncate(start);
                } else if !self.keep_defaults {
                    wire::drop_default(self.out, field, start, payload);
                }
                Ok(wrote)
            }
        }
    }

    /// One value without its tag; `false` for a name of no enum value that is to be ignored.
    #[inline]
    fn value(&mut self, field: &'a Field, bound: &[Bound<'_>]) -> Result<bool, Stop> {
        let Kind::Message(id) = field.kind else { return self.scalar(field.kind) };
        if field.delimited {
            self.message(id, bound)?;
            wire::put_tag(self.out, field.number, END);
        } else {
            let start = wire::open(self.out);
            self.message(id, bound)?;
            wire::close(self.out, start);
        }
        Ok(true)
    }
}
