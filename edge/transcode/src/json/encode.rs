//! From the wire to ProtoJSON: one pass over the bytes, fields in the order of their numbers, keys of maps sorted, so
//! that equal messages make equal texts.

use std::borrow::Cow;
use std::sync::Arc;

use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, WellKnown};
use crate::wire::{LENGTH, Malformed, Wire};

mod any;
mod default;
mod known;
mod map;
mod order;
mod scalar;

#[cfg(test)]
mod tests;

pub(super) use scalar::put_string;

/// How an [`Encoder`] writes.
#[derive(Clone, Copy, Debug)]
pub struct EncodeOptions<'a> {
    /// Whether fields go by their names in the proto instead of those in JSON. Default false.
    pub proto_names: bool,
    /// Whether enums are written as numbers instead of names. Default false.
    pub enum_numbers: bool,
    /// Whether 64-bit integers are written as numbers instead of strings; many readers round those. Default false.
    pub int64_numbers: bool,
    /// Which absent fields are written. Default none.
    pub defaults: Defaults,
    /// How deep messages may nest. Default 100.
    pub depth_max: usize,
    /// How many bytes the text may have. Default 64 MiB.
    pub bytes_max: usize,
    /// Where the types of `Any` are looked up that the encoder's own schema lacks. Default nowhere.
    pub any: &'a [Arc<Schema>],
    /// Whether an `Any` of unknown type, or whose content is none of its type, is written as
    /// `{"@type": .., "value": "<base64>"}` instead of being an error. Default false.
    pub opaque_any: bool,
}

/// Which absent fields are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Defaults {
    /// None.
    #[default]
    Omit,
    /// Those that cannot be told from their default: scalars without presence, lists and maps.
    Implicit,
    /// The rest too, as `null`; but for members of oneofs, extensions, and what `null` would be a value of.
    All,
}

impl Default for EncodeOptions<'_> {
    fn default() -> Self {
        Self {
            proto_names: false,
            enum_numbers: false,
            int64_numbers: false,
            defaults: Defaults::Omit,
            depth_max: 100,
            bytes_max: 64 << 20,
            any: &[],
            opaque_any: false,
        }
    }
}

/// Why a message has no JSON; the fault of who made it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The bytes are no such message.
    #[error("malformed {message}")]
    Malformed {
        /// The message's full name.
        message: Box<str>,
    },
    /// A string is not UTF-8.
    #[error("{message}.{field} is not UTF-8")]
    Utf8 {
        /// The message's full name.
        message: Box<str>,
        /// The field.
        field: Box<str>,
    },
    /// A well-known message has a value that JSON cannot say.
    #[error("{message} {problem}")]
    NoJson {
        /// The message's full name.
        message: Box<str>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An `Any` of a type that no schema has.
    #[error("a google.protobuf.Any of unknown type \"{url}\"")]
    UnknownType {
        /// Its `type_url`.
        url: Box<str>,
    },
    /// Messages nest deeper than is allowed.
    #[error("messages nest deeper than {depth_max}")]
    TooDeep {
        /// How deep they may.
        depth_max: usize,
    },
    /// The text would have more bytes than is allowed.
    #[error("the JSON would have more than {bytes_max} bytes")]
    TooLarge {
        /// How many it may have.
        bytes_max: usize,
    },
}

/// Writes ProtoJSON by a schema.
#[derive(Clone, Copy, Debug)]
pub struct Encoder<'a> {
    schema: &'a Schema,
    options: EncodeOptions<'a>,
}

impl<'a> Encoder<'a> {
    /// An encoder of messages of `schema`.
    #[must_use]
    pub fn new(schema: &'a Schema, options: EncodeOptions<'a>) -> Self {
        Self { schema, options }
    }

    /// Appends the JSON of a message. Fields that the schema does not have are passed over.
    ///
    /// # Errors
    /// Why it has none; nothing is appended then.
    pub fn message(&self, id: MessageId, wire: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.run(out, |run| run.message(id, wire))
    }

    /// Appends the JSON of one field of a message, given the whole message; of one that is absent its default, `null`
    /// where it has none.
    ///
    /// # Errors
    /// As [`Encoder::message`].
    pub fn field(&self, id: MessageId, position: usize, wire: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.run(out, |run| {
            let message = &run.schema[id];
            run.only(message, position, wire).map_err(|stop| stop.of(message))
        })
    }

    fn run(
        &self,
        out: &mut Vec<u8>,
        encode: impl Fn(&mut Run<'_, '_>) -> Result<(), Box<EncodeError>>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let end = start.saturating_add(self.options.bytes_max);
        let mut pass = |trusting: bool| {
            let (schema, options) = (self.schema, &self.options);
            let mut run = Run { schema, options, out: &mut *out, end, depth: options.depth_max, trusting };
            let result = encode(&mut run).and_then(|()| run.check_size());
            if result.is_err() {
                out.truncate(start);
            }
            result
        };
        pass(true).or_else(|_| pass(false)).map_err(|error| *error)
    }
}

/// Why a field was not encoded, to be completed by the message it is in.
enum Stop {
    Malformed,
    Utf8(Box<str>),
    Whole(Box<EncodeError>),
}

impl Stop {
    #[cold]
    fn of(self, message: &Message) -> Box<EncodeError> {
        let message = message.name.clone();
        match self {
            Self::Malformed => Box::new(EncodeError::Malformed { message }),
            Self::Utf8(field) => Box::new(EncodeError::Utf8 { message, field }),
            Self::Whole(error) => error,
        }
    }
}

impl From<Malformed> for Stop {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Box<EncodeError>> for Stop {
    fn from(error: Box<EncodeError>) -> Self {
        Self::Whole(error)
    }
}

/// One message being encoded.
struct Run<'a, 'o> {
    schema: &'a Schema,
    options: &'a EncodeOptions<'a>,
    out: &'o mut Vec<u8>,
    /// Where `out` must have ended.
    end: usize,
    /// How many levels deeper it may go.
    depth: usize,
    /// Whether messages are taken to be in order, as almost all are. One that is not ends the pass as malformed. So
    /// does all else that is wrong, and then everything is done once more, looking at the order first.
    trusting: bool,
}

impl<'a> Run<'a, '_> {
    fn check_size(&self) -> Result<(), Box<EncodeError>> {
        if self.out.len() > self.end {
            return Err(Box::new(EncodeError::TooLarge { bytes_max: self.options.bytes_max }));
        }
        Ok(())
    }

    /// A message, whatever form it has.
    fn message(&mut self, id: MessageId, wire: &[u8]) -> Result<(), Box<EncodeError>> {
        let message = &self.schema[id];
        let result = self.nested(|run| match message.well_known {
            None | Some(WellKnown::Empty) => {
                run.out.push(b'{');
                run.members(message, wire, true).map(|()| run.out.push(b'}'))
            }
            Some(known) => run.known(message, known, wire),
        });
        result.map_err(|stop| stop.of(message))
    }

    /// One level deeper.
    fn nested(&mut self, then: impl FnOnce(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(Stop::Whole(Box::new(EncodeError::TooDeep { depth_max: self.options.depth_max })));
        };
        self.depth = depth;
        let result = then(self);
        self.depth += 1;
        result
    }

    /// The members of a message's object, without its brackets; `first` if nothing stands before them.
    fn members(&mut self, message: &'a Message, wire: &[u8], mut first: bool) -> Result<(), Stop> {
        let ordered = if self.trusting { Cow::Borrowed(wire) } else { order::in_order(self.schema, message, wire)? };
        let mut wire = Wire::new(&ordered);
        let (mut next, mut oneofs) = (0, 0);
        while !wire.is_done() {
            let (number, wire_type) = wire.tag()?;
            let Some((position, field)) = order::known(self.schema, message, number, wire_type, wire) else {
                wire.skip(number, wire_type)?;
                continue;
            };
            if self.trusting && (position < next || !order::is_first_of_oneof(field, &mut oneofs)) {
                return Err(Stop::Malformed);
            }
            if self.options.defaults != Defaults::Omit {
                self.absent(&message.fields[next..position], &mut first)?;
            }
            next = position + 1;
            let start = self.out.len();
            let payload = wire.at;
            self.key(field, first);
            let wrote = self.value(field, &mut wire, wire_type)?;
            let implied = field.cardinality == Cardinality::Implicit
                && self.options.defaults == Defaults::Omit
                && scalar::is_zero(field.kind, wire_type, &wire.bytes[payload..wire.at]);
            if wrote && !implied {
                first = false;
            } else {
                self.out.truncate(start);
            }
            self.check_size()?;
        }
        if self.options.defaults != Defaults::Omit {
            self.absent(&message.fields[next..], &mut first)?;
        }
        Ok(())
    }

    #[inline]
    fn key(&mut self, field: &Field, first: bool) {
        let key = if self.options.proto_names { &field.keys.1 } else { &field.keys.0 };
        self.out.extend_from_slice(&key.as_bytes()[usize::from(first)..]);
    }

    /// Fields that are not there.
    fn absent(&mut self, fields: &'a [Field], first: &mut bool) -> Result<(), Stop> {
        for field in fields {
            let null = !field.is_repeated() && field.cardinality != Cardinality::Implicit;
            let told = null && (self.options.defaults != Defaults::All || self.schema.takes_null(field));
            if told || field.oneof.is_some() || field.extension {
                continue;
            }
            self.key(field, std::mem::take(first));
            if null { self.out.extend_from_slice(b"null") } else { self.default_of(field)? }
        }
        Ok(())
    }

    /// What stands for a field that is not there.
    fn default_of(&mut self, field: &'a Field) -> Result<(), Stop> {
        match field.cardinality {
            Cardinality::Repeated { .. } => self.out.extend_from_slice(b"[]"),
            Cardinality::Map => self.out.extend_from_slice(b"{}"),
            _ => {
                self.single(field, &mut Wire::new(&[0; 8]))?;
            }
        }
        Ok(())
    }

    /// One field's value out of a whole message.
    fn only(&mut self, message: &'a Message, position: usize, wire: &[u8]) -> Result<(), Stop> {
        let field = &message.fields[position];
        // Of a oneof only the other members tell which one counts.
        let trusting = self.trusting && field.oneof.is_none();
        let ordered = if trusting { Cow::Borrowed(wire) } else { order::in_order(self.schema, message, wire)? };
        let mut wire = Wire::new(&ordered);
        let mut wrote = None;
        while !wire.is_done() {
            let (number, wire_type) = wire.tag()?;
            let known = order::known(self.schema, message, number, wire_type, wire);
            if known.is_none_or(|(known, _)| known != position) {
                wire.skip(number, wire_type)?;
            } else if wrote.is_some() {
                return Err(Stop::Malformed);
            } else {
                wrote = Some(self.value(field, &mut wire, wire_type)?);
            }
        }
        match field.cardinality {
            _ if wrote == Some(true) => Ok(()),
            Cardinality::Explicit | Cardinality::Required => self.declared_default(field),
            _ => self.default_of(field),
        }
    }

    /// A field's value; of a repeated one all that follow each other. `false` if there is none after all.
    #[inline]
    fn value(&mut self, field: &'a Field, wire: &mut Wire<'_>, wire_type: u8) -> Result<bool, Stop> {
        let start = self.out.len();
        match field.cardinality {
            Cardinality::Map => self.map(field, wire)?,
            Cardinality::Repeated { .. } => self.array(field, wire, wire_type)?,
            _ => return self.single(field, wire),
        }
        // What came without any value is as absent as one that did not come.
        let wrote = self.out.len() > start + 2 || self.options.defaults != Defaults::Omit;
        if !wrote {
            self.out.truncate(start);
        }
        Ok(wrote)
    }

    /// One value; `false` for a number that a closed enum does not have.
    #[inline]
    fn single(&mut self, field: &'a Field, wire: &mut Wire<'_>) -> Result<bool, Stop> {
        let Kind::Message(id) = field.kind else { return self.scalar(field, wire) };
        let content = if field.delimited { wire.group(field.number)? } else { wire.slice()? };
        self.message(id, content)?;
        Ok(true)
    }

    fn array(&mut self, field: &'a Field, wire: &mut Wire<'_>, mut wire_type: u8) -> Result<(), Stop> {
        self.out.push(b'[');
        let empty = self.out.len();
        loop {
            if wire_type == LENGTH && field.is_packable() {
                let mut packed = Wire::new(wire.slice()?);
                while !packed.is_done() {
                    self.element(field, &mut packed)?;
                }
            } else {
                self.element(field, wire)?;
            }
            self.check_size()?;
            let before = wire.at;
            match if wire.is_done() { None } else { Some(wire.tag()?) } {
                Some((number, next)) if number == field.number && field.accepts(next) => wire_type = next,
                _ => {
                    wire.at = before;
                    break;
                }
            }
        }
        if self.out.len() > empty {
            self.out.pop();
        }
        self.out.push(b']');
        Ok(())
    }

    /// One value with a comma behind it.
    #[inline]
    fn element(&mut self, field: &'a Field, wire: &mut Wire<'_>) -> Result<(), Stop> {
        let start = self.out.len();
        if self.single(field, wire)? {
            self.out.push(b',');
        } else {
            self.out.truncate(start);
        }
        Ok(())
    }
}
