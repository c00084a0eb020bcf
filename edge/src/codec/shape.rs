//! A JSON tree held against a message, before it is read: unknown and doubled names are reported with their path and
//! the nearest real name; for lenient bindings, loosely typed values are put right and unknown names dropped.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::{Violation, fields, scalar};

/// Checks a tree, and changes it where `lenient` allows.
pub(super) fn check(tree: &mut Value, message: &MessageDescriptor, lenient: bool) -> Vec<Violation> {
    let mut check = Check { lenient, path: Vec::new(), violations: Vec::new() };
    check.message(tree, message);
    check.violations
}

struct Check {
    lenient: bool,
    path: Vec<String>,
    violations: Vec<Violation>,
}

impl Check {
    fn message(&mut self, tree: &mut Value, message: &MessageDescriptor) {
        if matches!(
            message.full_name(),
            "google.protobuf.Value" | "google.protobuf.Struct" | "google.protobuf.ListValue"
        ) {
            for path in inexact(tree) {
                self.violation(
                    &path,
                    "is an integer beyond 2^53, which cannot be kept exactly; send it as a string".to_owned(),
                );
            }
            return;
        }
        // These have forms of their own, and whatever is wrong inside is found when they are read.
        if message.full_name().starts_with("google.protobuf.") {
            return;
        }
        let Value::Object(object) = tree else { return };
        let mut seen: Vec<FieldDescriptor> = Vec::new();
        for name in object.keys().cloned().collect::<Vec<_>>() {
            match fields::find(message, &name) {
                Some(field) if seen.contains(&field) => {
                    self.violation(&name, format!("is given twice, as {} and as {}", field.name(), field.json_name()));
                }
                Some(field) => {
                    if let Some(value) = object.get_mut(&name) {
                        self.path.push(name);
                        self.field(value, &field);
                        self.path.pop();
                    }
                    seen.push(field);
                }
                None if self.lenient => {
                    object.remove(&name);
                }
                // An extension; the reader knows them.
                None if name.starts_with('[') => {}
                None => self.violation(&name, fields::unknown(message, &name)),
            }
        }
    }

    fn field(&mut self, value: &mut Value, field: &FieldDescriptor) {
        let kind = field.kind();
        match value {
            Value::Object(entries) if field.is_map() => {
                if let Kind::Message(entry) = &kind {
                    self.entries(entries, &entry.map_entry_value_field().kind());
                }
            }
            Value::Array(elements) if field.is_list() => {
                for (at, element) in elements.iter_mut().enumerate() {
                    self.path.push(at.to_string());
                    self.value(element, &kind);
                    self.path.pop();
                }
            }
            value => self.value(value, &kind),
        }
    }

    fn entries(&mut self, entries: &mut Map<String, Value>, kind: &Kind) {
        for (key, value) in entries {
            self.path.push(key.clone());
            self.value(value, kind);
            self.path.pop();
        }
    }

    fn value(&mut self, value: &mut Value, kind: &Kind) {
        match kind {
            Kind::Message(message) => self.message(value, message),
            kind if self.lenient => coerce(value, kind),
            _ => {}
        }
    }

    /// `name` is of what is wrong inside the present path; empty when that is the value itself.
    fn violation(&mut self, name: &str, description: String) {
        let mut path = self.path.clone();
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        self.violations.push(Violation::new(path.join("."), description));
    }
}

/// Where in any JSON integers are that its protobuf form, whose numbers are doubles, cannot hold. Paths are made only for
/// what is found: nearly always nothing.
fn inexact(tree: &Value) -> Vec<String> {
    const EXACT_MAX: u64 = 1 << 53;
    let below = |name: &dyn ToString, value: &Value| -> Vec<String> {
        let paths = inexact(value).into_iter();
        paths
            .map(|path| if path.is_empty() { name.to_string() } else { format!("{}.{path}", name.to_string()) })
            .collect()
    };
    match tree {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            if size.is_some_and(|size| size > EXACT_MAX) { vec![String::new()] } else { Vec::new() }
        }
        Value::Array(elements) => elements.iter().enumerate().flat_map(|(at, element)| below(&at, element)).collect(),
        Value::Object(entries) => entries.iter().flat_map(|(key, value)| below(key, value)).collect(),
        _ => Vec::new(),
    }
}

/// What loosely typed clients write for a scalar, turned into what ProtoJSON has; anything else stays.
fn coerce(value: &mut Value, kind: &Kind) {
    let coerced = match (kind, &*value) {
        (Kind::Bool, Value::String(text)) => scalar::boolean(text, true).map(Value::Bool),
        (Kind::Bool, Value::Number(number)) => scalar::boolean(&number.to_string(), true).map(Value::Bool),
        (Kind::String, Value::Number(number)) => Some(Value::String(number.to_string())),
        (Kind::String, Value::Bool(flag)) => Some(Value::String(flag.to_string())),
        (Kind::Enum(_), Value::String(text)) => {
            let number = scalar::parse(kind, text, true).ok().and_then(|value| value.as_enum_number());
            number.map(|number| Value::Number(number.into()))
        }
        _ => None,
    };
    if let Some(coerced) = coerced {
        *value = coerced;
    }
}
