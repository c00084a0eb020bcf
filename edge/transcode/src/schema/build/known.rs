//! Which messages are more than their fields.

use crate::schema::{Cardinality, Field, Kind, WellKnown};

/// The well-known type of this name, if the fields are those that everybody knows it by. The codec writes their wire
/// form without looking at descriptors, so a message that only borrows the name is an ordinary one.
pub(super) fn recognise(name: &str, fields: &[Field]) -> Option<WellKnown> {
    let kinds: Vec<(u32, Kind, bool)> =
        fields.iter().map(|field| (field.number, field.kind, field.is_repeated())).collect();
    let name = name.strip_prefix("google.protobuf.")?;
    let known = match (name, kinds.as_slice()) {
        ("Any", [(1, Kind::String, false), (2, Kind::Bytes, false)]) => WellKnown::Any,
        ("Timestamp", [(1, Kind::Int64, false), (2, Kind::Int32, false)]) => WellKnown::Timestamp,
        ("Duration", [(1, Kind::Int64, false), (2, Kind::Int32, false)]) => WellKnown::Duration,
        ("FieldMask", [(1, Kind::String, true)]) => WellKnown::FieldMask,
        ("Empty", []) => WellKnown::Empty,
        ("ListValue", [(1, Kind::Message(_), true)]) => WellKnown::ListValue,
        ("Struct", [(1, Kind::Message(_), true)]) => WellKnown::Struct,
        (
            "Value",
            [
                (1, Kind::Enum(_), false),
                (2, Kind::Double, false),
                (3, Kind::String, false),
                (4, Kind::Bool, false),
                (5, Kind::Message(_), false),
                (6, Kind::Message(_), false),
            ],
        ) => WellKnown::Value,
        (_, [(1, kind, false)]) if Some(*kind) == wrapped(name) => WellKnown::Wrapper(*kind),
        _ => return None,
    };
    Some(known)
}

fn wrapped(name: &str) -> Option<Kind> {
    Some(match name {
        "BoolValue" => Kind::Bool,
        "BytesValue" => Kind::Bytes,
        "DoubleValue" => Kind::Double,
        "FloatValue" => Kind::Float,
        "Int32Value" => Kind::Int32,
        "Int64Value" => Kind::Int64,
        "StringValue" => Kind::String,
        "UInt32Value" => Kind::Uint32,
        "UInt64Value" => Kind::Uint64,
        _ => return None,
    })
}

/// A key that can be one, and one value.
pub(super) fn is_map_entry(fields: &[Field]) -> bool {
    let [key, value] = fields else { return false };
    let no_key = matches!(key.kind, Kind::Double | Kind::Float | Kind::Bytes | Kind::Enum(_) | Kind::Message(_));
    let repeated = |field: &Field| matches!(field.cardinality, Cardinality::Repeated { .. } | Cardinality::Map);
    (key.number, value.number) == (1, 2) && !no_key && !repeated(key) && !repeated(value)
}
