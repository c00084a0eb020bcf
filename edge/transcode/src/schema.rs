//! The resolved, flat and immutable index of everything that a set of descriptors declares.
//!
//! Every reference is a number into one of three lists, so that nothing on a request's way hashes a type's name or
//! counts references. It knows nothing of JSON or HTTP.

mod build;
mod error;
mod features;
mod lookup;
mod source;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Index;

pub use error::SchemaError;
pub use source::Source;

pub use crate::descriptor::{CustomHttpPattern, HttpRule, Pattern};
use lookup::{Names, Numbers};

/// All messages, enums and services of one backend.
#[derive(Debug, Default)]
pub struct Schema {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    services: Vec<Service>,
    symbols: HashMap<Box<str>, Symbol>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Message(MessageId),
    Enum(EnumId),
    Service(usize),
    Method(usize, usize),
    Extension,
}

/// Which message of its [`Schema`]; of no use with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u32);

/// Which enum of its [`Schema`]; of no use with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(u32);

/// A message type.
#[derive(Debug)]
pub struct Message {
    /// Its full name, `package.Outer.Inner`.
    pub name: Box<str>,
    /// Its fields and the extensions of it, by ascending number.
    pub fields: Vec<Field>,
    /// The names of its oneofs; not those that stand for a proto3 `optional`.
    pub oneofs: Vec<Box<str>>,
    /// Whether it has a JSON form of its own.
    pub well_known: Option<WellKnown>,
    /// Whether it is the type that the compiler made for a map's entries: fields 1 and 2 are key and value.
    pub map_entry: bool,
    /// Whether it has proto1's `message_set_wire_format`.
    pub message_set: bool,
    /// Whether it is marked so.
    pub deprecated: bool,
    /// Where it is declared.
    pub source: Source,
    /// Whether a field of its own is required.
    pub(crate) has_required: bool,
    /// Whether each field is the one that its name in JSON leads to; old protos may have two of one name.
    pub(crate) is_unambiguous: bool,
    /// The fields whose name in JSON another one has, so that it is as in the proto; by position.
    pub(crate) renamed: Vec<usize>,
    names: Names,
    numbers: Numbers,
}

/// A field of a message, or an extension of it.
#[derive(Debug)]
pub struct Field {
    /// Its number, 1 to 536,870,911.
    pub number: u32,
    /// Its name in the proto; of an extension its full name in brackets, `[pkg.ext]`.
    pub name: Box<str>,
    /// Its name in JSON; of an extension that same name in brackets.
    pub json_name: Box<str>,
    /// The type of one value. Of a map it is the message of its entries.
    pub kind: Kind,
    /// How many values there are, and whether their absence shows.
    pub cardinality: Cardinality,
    /// Which of the message's `oneofs` it belongs to.
    pub oneof: Option<u32>,
    /// Whether a string must be UTF-8 on the wire; proto2 does not ask for it.
    pub utf8: bool,
    /// Whether a message is written between group tags instead of after its length.
    pub delimited: bool,
    /// Whether it is an extension.
    pub extension: bool,
    /// proto2's default, in the spelling of `FieldDescriptorProto.default_value`.
    pub default: Option<Box<str>>,
    /// The numbers of `google.api.field_behavior`: 2 is REQUIRED, 3 OUTPUT_ONLY, 4 INPUT_ONLY, 5 IMMUTABLE.
    pub behavior: Vec<i32>,
    /// Whether it is marked so.
    pub deprecated: bool,
    /// Whether it is kept out of logs.
    pub debug_redact: bool,
    /// Where it is declared.
    pub source: Source,
    /// A comma, its name in JSON and in the proto as a JSON string, and a colon.
    pub(crate) keys: (Box<str>, Box<str>),
}

/// The type of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as protobuf names it")]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One, and its default is the same as none (proto3).
    Implicit,
    /// One or none: proto3 `optional`, proto2, members of oneofs, messages.
    Explicit,
    /// Exactly one (proto2).
    Required,
    /// Any number.
    Repeated {
        /// Whether they are written together after one tag; either form is read.
        packed: bool,
    },
    /// Any number, by key; the field's kind is the message of the entries.
    Map,
}

/// Messages that ProtoJSON gives a form of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as in google.protobuf")]
pub enum WellKnown {
    Any,
    Duration,
    Empty,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    /// `BoolValue` and its like, by the kind of what they hold.
    Wrapper(Kind),
}

impl WellKnown {
    /// Whether its JSON may have any form, so that only JSON can say which.
    #[must_use]
    pub fn is_any_json(self) -> bool {
        matches!(self, Self::Any | Self::ListValue | Self::Struct | Self::Value)
    }
}

/// An enum type.
#[derive(Debug)]
pub struct Enum {
    /// Its full name.
    pub name: Box<str>,
    /// Its values in the order of their declaration. Several may have one number; the first names it.
    pub values: Vec<EnumValue>,
    /// Whether a number that is not declared is no value of it (proto2).
    pub closed: bool,
    /// Whether it is `google.protobuf.NullValue`, whose JSON is `null`.
    pub null_value: bool,
    /// Whether it is marked so.
    pub deprecated: bool,
    /// Where it is declared.
    pub source: Source,
    names: Names,
    numbers: HashMap<i32, u32>,
}

/// One value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// Its name.
    pub name: Box<str>,
    /// Its number.
    pub number: i32,
    /// Where it is declared.
    pub source: Source,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its full name.
    pub name: Box<str>,
    /// Its methods in the order of their declaration.
    pub methods: Vec<Method>,
    /// Where it is declared.
    pub source: Source,
}

/// A method of a service.
#[derive(Debug)]
pub struct Method {
    /// Its own name.
    pub name: Box<str>,
    /// `package.Service.Method`, as selectors name it.
    pub full_name: Box<str>,
    /// `/package.Service/Method`, as gRPC calls it.
    pub path: Box<str>,
    /// What it takes.
    pub input: MessageId,
    /// What it answers.
    pub output: MessageId,
    /// Whether it takes any number of messages.
    pub client_streaming: bool,
    /// Whether it answers with any number of messages.
    pub server_streaming: bool,
    /// What it says of being called twice.
    pub idempotency: Idempotency,
    /// Its annotation `google.api.http`.
    pub http: Option<HttpRule>,
    /// The line on which the annotation begins; that of the method where it is not known.
    pub http_line: u32,
    /// Whether it is marked so.
    pub deprecated: bool,
    /// Where it is declared.
    pub source: Source,
}

/// `MethodOptions.idempotency_level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing is promised.
    #[default]
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// Calling it twice is calling it once.
    Idempotent,
}

impl Schema {
    /// Resolves what `FileDescriptorSet`s declare. A file that several of them hold, alike in what it declares, counts
    /// once; the order of files does not matter.
    ///
    /// # Errors
    /// The first thing in them that is not a valid descriptor, by file and name.
    pub fn new(sets: &[&[u8]]) -> Result<Self, SchemaError> {
        build::build(sets)
    }

    /// Every message, those of map entries included.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Every enum.
    #[must_use]
    pub fn enums(&self) -> &[Enum] {
        &self.enums
    }

    /// Every service.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The message of this full name.
    #[must_use]
    pub fn find_message(&self, name: &str) -> Option<MessageId> {
        if let Symbol::Message(id) = self.symbols.get(name)? { Some(*id) } else { None }
    }

    /// The enum of this full name.
    #[must_use]
    pub fn find_enum(&self, name: &str) -> Option<EnumId> {
        if let Symbol::Enum(id) = self.symbols.get(name)? { Some(*id) } else { None }
    }

    /// The service of this full name.
    #[must_use]
    pub fn find_service(&self, name: &str) -> Option<&Service> {
        if let Symbol::Service(at) = self.symbols.get(name)? { Some(&self.services[*at]) } else { None }
    }

    /// The method of this full name, `package.Service.Method`.
    #[must_use]
    pub fn find_method(&self, name: &str) -> Option<&Method> {
        let Symbol::Method(service, method) = self.symbols.get(name)? else { return None };
        Some(&self.services[*service].methods[*method])
    }

    /// Whether this field of a message is a group, which only JSON can name: delimited, and its type is declared beside it
    /// and named like it, as proto2's are. Editions may delimit any message.
    pub(crate) fn is_group(&self, message: &Message, field: &Field) -> bool {
        let Kind::Message(id) = field.kind else { return false };
        let is_beside = || match field.name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(extension) => self[id].name.eq_ignore_ascii_case(extension),
            None => self[id].name.eq_ignore_ascii_case(&format!("{}.{}", message.name, field.name)),
        };
        field.delimited && is_beside()
    }

    /// Whether `null` is a value of this field rather than the lack of one.
    #[inline]
    pub(crate) fn takes_null(&self, field: &Field) -> bool {
        match field.kind {
            _ if field.is_repeated() => false,
            Kind::Message(id) => self[id].well_known == Some(WellKnown::Value),
            Kind::Enum(id) => self[id].null_value,
            _ => false,
        }
    }
}

impl Index<MessageId> for Schema {
    type Output = Message;

    fn index(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }
}

impl Index<EnumId> for Schema {
    type Output = Enum;

    fn index(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }
}

impl Message {
    /// Where in `fields` the one of this name stands: in JSON first, else in the proto.
    #[must_use]
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.names.find(name, |at, alias| {
            let field = &self.fields[at];
            if alias { &field.name } else { &field.json_name }
        })
    }

    /// The field of this name, in JSON or in the proto.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        Some(&self.fields[self.position(name.as_bytes())?])
    }

    /// All names of its fields, each once where the two of a field are alike.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flat_map(|field| {
            let proto = Some(&*field.name).filter(|name| *name != &*field.json_name);
            std::iter::once(&*field.json_name).chain(proto)
        })
    }

    /// Where in `fields` the one of this number stands.
    #[must_use]
    pub fn position_of(&self, number: u32) -> Option<usize> {
        self.numbers.find(number, &self.fields)
    }
}

impl Field {
    /// Whether it may have several values.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        matches!(self.cardinality, Cardinality::Repeated { .. } | Cardinality::Map)
    }

    /// Whether several values may be written together after one tag.
    #[inline]
    pub(crate) fn is_packable(&self) -> bool {
        matches!(self.cardinality, Cardinality::Repeated { .. })
            && !matches!(self.kind, Kind::String | Kind::Bytes | Kind::Message(_))
    }

    /// Whether a value of it can come with this wire type.
    #[inline]
    pub(crate) fn accepts(&self, wire_type: u8) -> bool {
        wire_type == crate::wire::wire_type(self.kind, self.delimited)
            || (wire_type == crate::wire::LENGTH && self.is_packable())
    }

    /// Whether it is a map.
    #[must_use]
    pub fn is_map(&self) -> bool {
        self.cardinality == Cardinality::Map
    }
}

impl Enum {
    /// The number of this name.
    #[must_use]
    pub fn number(&self, name: &[u8]) -> Option<i32> {
        self.names.find(name, |at, _| &self.values[at].name).map(|at| self.values[at].number)
    }

    /// The first value of this number.
    #[must_use]
    pub fn value(&self, number: i32) -> Option<&EnumValue> {
        let likely = usize::try_from(number).ok().and_then(|at| self.values.get(at));
        if let Some(value) = likely
            && value.number == number
            && self.numbers.is_empty()
        {
            return Some(value);
        }
        self.numbers.get(&number).map(|at| &self.values[*at as usize])
    }
}
