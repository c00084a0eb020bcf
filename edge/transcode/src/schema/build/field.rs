//! One field: its kind, and what syntax, edition and options make of it.

use std::collections::HashSet;

use super::Scope;
use crate::descriptor::{DescriptorProto, FieldDescriptorProto, Label};
use crate::json;
use crate::schema::features::{Features, Presence};
use crate::schema::{Cardinality, Field, Kind, Schema, SchemaError, Symbol};

const NUMBER_MAX: i32 = (1 << 29) - 1;

/// The names of a message's oneofs, and for each declared one its place among them; a oneof that only stands for a
/// proto3 `optional` has none.
pub(super) fn oneofs(message: &DescriptorProto) -> (Vec<Box<str>>, Vec<Option<u32>>) {
    let optional = message.field.iter().filter(|field| field.proto3_optional);
    let stand_ins: HashSet<u32> = optional.filter_map(|field| field.oneof_index).collect();
    let mut names = Vec::new();
    let position = (0..).zip(&message.oneof_decl).map(|(at, oneof)| {
        if stand_ins.contains(&at) {
            return None;
        }
        names.push(oneof.name.as_str().into());
        u32::try_from(names.len() - 1).ok()
    });
    let position = position.collect();
    (names, position)
}

impl Scope<'_> {
    /// A field of a message, given with where its oneofs stand, or an extension.
    pub(super) fn field(
        &self,
        schema: &Schema,
        full_name: &str,
        declared: &FieldDescriptorProto,
        member: Option<(&DescriptorProto, &[Option<u32>])>,
        features: Features,
    ) -> Result<Field, SchemaError> {
        let options = declared.options.as_ref();
        let in_oneof = member.and_then(|(message, _)| message.oneof_decl.get(declared.oneof_index? as usize));
        let features = features.with(in_oneof.and_then(|oneof| oneof.options.as_ref()?.features.as_ref()));
        let features = features.with(options.and_then(|options| options.features.as_ref()));
        let number = Some(declared.number).filter(|number| (1..=NUMBER_MAX).contains(number));
        let number = number.ok_or_else(|| self.invalid(full_name, "its number is not between 1 and 536870911"))?;
        let kind = self.kind(schema, full_name, declared)?;
        let cardinality = cardinality(schema, declared, member.is_none(), kind, features);
        let entry = member.is_some_and(|(message, _)| message.options.as_ref().is_some_and(|o| o.map_entry));
        let (name, json_name) = match member {
            None => (format!("[{full_name}]"), format!("[{full_name}]")),
            Some(_) => (declared.name.clone(), declared.json_name.clone().unwrap_or_else(|| camel(&declared.name))),
        };
        let oneof = declared.oneof_index.zip(member);
        let oneof = oneof.map(|(at, (_, positions))| positions.get(at as usize).copied());
        Ok(Field {
            number: number.unsigned_abs(),
            keys: (key(&json_name), key(&name)),
            name: name.into(),
            json_name: json_name.into(),
            kind,
            cardinality,
            oneof: oneof.unwrap_or(Some(None)).ok_or_else(|| self.invalid(full_name, "its oneof is not declared"))?,
            utf8: features.utf8,
            delimited: declared.r#type == 10
                || (features.delimited
                    && matches!(kind, Kind::Message(_))
                    && cardinality != Cardinality::Map
                    && !entry),
            extension: member.is_none(),
            default: declared.default_value.as_deref().map(Into::into),
            behavior: options.map(|options| options.field_behavior.clone()).unwrap_or_default(),
            deprecated: options.is_some_and(|options| options.deprecated),
            debug_redact: options.is_some_and(|options| options.debug_redact),
            source: self.sources.at(&self.path),
        })
    }

    fn kind(&self, schema: &Schema, name: &str, declared: &FieldDescriptorProto) -> Result<Kind, SchemaError> {
        Ok(match declared.r#type {
            1 => Kind::Double,
            2 => Kind::Float,
            3 => Kind::Int64,
            4 => Kind::Uint64,
            5 => Kind::Int32,
            6 => Kind::Fixed64,
            7 => Kind::Fixed32,
            8 => Kind::Bool,
            9 => Kind::String,
            10 | 11 => Kind::Message(self.message(schema, name, &declared.type_name)?),
            12 => Kind::Bytes,
            13 => Kind::Uint32,
            14 => Kind::Enum(
                schema
                    .find_enum(declared.type_name.trim_start_matches('.'))
                    .ok_or_else(|| self.unresolved(name, &declared.type_name, "an enum"))?,
            ),
            15 => Kind::Sfixed32,
            16 => Kind::Sfixed64,
            17 => Kind::Sint32,
            18 => Kind::Sint64,
            // Left to the linker by some: the name decides.
            0 => match schema.symbols.get(declared.type_name.trim_start_matches('.')) {
                Some(Symbol::Message(id)) => Kind::Message(*id),
                Some(Symbol::Enum(id)) => Kind::Enum(*id),
                _ => return Err(self.unresolved(name, &declared.type_name, "a type")),
            },
            _ => return Err(self.invalid(name, "its type is not known")),
        })
    }
}

fn cardinality(
    schema: &Schema,
    declared: &FieldDescriptorProto,
    extension: bool,
    kind: Kind,
    features: Features,
) -> Cardinality {
    let message = if let Kind::Message(id) = kind { Some(&schema[id]) } else { None };
    let packable = message.is_none() && !matches!(kind, Kind::String | Kind::Bytes);
    match declared.label() {
        Label::Repeated if message.is_some_and(|message| message.map_entry) => Cardinality::Map,
        Label::Repeated => {
            let asked = declared.options.as_ref().and_then(|options| options.packed);
            Cardinality::Repeated { packed: packable && asked.unwrap_or(features.packed) }
        }
        Label::Required => Cardinality::Required,
        _ if features.presence == Presence::Required && !extension => Cardinality::Required,
        _ if message.is_some() || extension || declared.oneof_index.is_some() => Cardinality::Explicit,
        _ if features.presence == Presence::Implicit => Cardinality::Implicit,
        _ => Cardinality::Explicit,
    }
}

/// As an object's member begins.
fn key(name: &str) -> Box<str> {
    let mut key = vec![b','];
    json::put_string(name, &mut key);
    key.push(b':');
    String::from_utf8(key).expect("made of a str").into()
}

/// `json_name` where the compiler left it out.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if std::mem::take(&mut upper) => camel.push(letter.to_ascii_uppercase()),
            _ => camel.push(letter),
        }
    }
    camel
}
