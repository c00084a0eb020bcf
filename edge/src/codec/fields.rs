//! Field paths: `sub.deep.x`, `sub.deepName`, `labels[key]`.

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

/// Deepest nesting a path may name. Whatever writes a message recurses, and backends stop reading at 100.
const DEPTH_MAX: usize = 64;
/// A name is suggested when no more than one in this many of its letters has to change.
const LETTERS_PER_EDIT: usize = 3;

/// The way to one field of a message.
#[derive(Clone, Debug)]
pub(super) struct FieldPath {
    /// Fields to go through; all singular messages.
    pub(super) parents: Vec<FieldDescriptor>,
    pub(super) field: FieldDescriptor,
    /// The key, for `labels[key]`.
    pub(super) map_key: Option<String>,
}

impl FieldPath {
    /// Finds a field by its proto or JSON names.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub(super) fn resolve(message: &MessageDescriptor, path: &str) -> Result<Self, String> {
        let (path, map_key) = match path.strip_suffix(']').and_then(|path| path.split_once('[')) {
            Some((path, key)) => (path, Some(key.to_owned())),
            None => (path, None),
        };
        let mut parents = Vec::new();
        let mut message = message.clone();
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let field = find(&message, name).ok_or_else(|| unknown(&message, name))?;
            if names.peek().is_none() {
                if map_key.is_some() != field.is_map() {
                    return Err(if field.is_map() {
                        format!("is a map; write {path}[key]=value")
                    } else {
                        "is not a map".to_owned()
                    });
                }
                return Ok(Self { parents, field, map_key });
            }
            if parents.len() == DEPTH_MAX {
                return Err(format!("is nested deeper than {DEPTH_MAX}"));
            }
            let inner = field.kind().as_message().cloned().filter(|_| !field.is_list() && !field.is_map());
            message = inner.ok_or_else(|| format!("{name} has no fields to name"))?;
            parents.push(field);
        }
        Err("is empty".to_owned())
    }

    /// The names as in the .proto, joined by dots.
    pub(super) fn name(&self) -> String {
        let names = self.parents.iter().chain([&self.field]).map(FieldDescriptor::name);
        let mut name = names.collect::<Vec<_>>().join(".");
        if let Some(key) = &self.map_key {
            name = format!("{name}[{key}]");
        }
        name
    }

    /// The field of the message that the path begins with.
    pub(super) fn first(&self) -> &FieldDescriptor {
        self.parents.first().unwrap_or(&self.field)
    }

    /// The value, if the field is set.
    pub(super) fn get(&self, message: &DynamicMessage) -> Option<Value> {
        fn within(message: &DynamicMessage, parents: &[FieldDescriptor], field: &FieldDescriptor) -> Option<Value> {
            let next = parents.first().unwrap_or(field);
            if !message.has_field(next) {
                return None;
            }
            let value = message.get_field(next);
            match parents {
                [] => Some(value.into_owned()),
                [_, rest @ ..] => within(value.as_message()?, rest, field),
            }
        }
        within(message, &self.parents, &self.field)
    }

    /// The message that holds the field, made if it is not there.
    ///
    /// # Errors
    /// The name of the oneof of which another member is set already.
    pub(super) fn parent<'m>(&self, message: &'m mut DynamicMessage) -> Result<&'m mut DynamicMessage, String> {
        let mut message = message;
        for parent in &self.parents {
            only_member(message, parent)?;
            message = message.get_field_mut(parent).as_message_mut().ok_or("cannot be set")?;
        }
        only_member(message, &self.field)?;
        Ok(message)
    }
}

fn only_member(message: &DynamicMessage, field: &FieldDescriptor) -> Result<(), String> {
    let Some(oneof) = field.containing_oneof() else { return Ok(()) };
    match oneof.fields().find(|other| other != field && message.has_field(other)) {
        Some(other) => Err(format!("cannot be given together with {}: only one of {} can", other.name(), oneof.name())),
        None => Ok(()),
    }
}

/// A field by its proto or JSON name.
pub(super) fn find(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

/// Says that there is no such field, and which one may have been meant.
pub(super) fn unknown(message: &MessageDescriptor, name: &str) -> String {
    let fields = message.fields();
    let nearest = fields.map(|field| (edits(name, field.name()), field.name().to_owned())).min();
    match nearest {
        Some((edits, nearest)) if edits <= (nearest.len() / LETTERS_PER_EDIT).max(1) && edits < name.len() => {
            format!("is not a field of this request; did you mean {nearest}?")
        }
        _ => "is not a field of this request".to_owned(),
    }
}

/// Levenshtein distance, capped cheaply by giving up on long names.
fn edits(left: &str, right: &str) -> usize {
    const NAME_BYTES_MAX: usize = 64;
    if left.len() > NAME_BYTES_MAX || right.len() > NAME_BYTES_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, from) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, to) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(!from.eq_ignore_ascii_case(&to));
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[right.len()]
}
