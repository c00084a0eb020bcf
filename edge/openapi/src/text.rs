//! Comments of a .proto as summaries and descriptions.

use serde_json::{Map, Value};

use crate::Json;

/// The first sentence, without its full stop.
pub(crate) fn summary(comment: &str) -> String {
    let paragraph = comment.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first);
    sentence.trim().trim_end_matches('.').to_owned()
}

/// What becomes of fields with their default value.
pub(crate) fn defaults(json: Json) -> &'static str {
    if json.emit_defaults {
        "Fields with their default value are written too."
    } else {
        "Fields that have their default value are left out of answers."
    }
}

/// Adds the description, unless there is nothing to say.
pub(crate) fn describe(object: &mut Map<String, Value>, comment: &str) {
    if !comment.is_empty() {
        object.insert("description".to_owned(), comment.into());
    }
}

/// `json!`'s object as a map.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}
