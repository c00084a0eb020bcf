//! JSON values as YAML 1.2: blocks, with every string that could be something else in JSON's quotes, which are YAML's.

use serde_json::Value;

/// Writes a value as YAML.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text.push('\n');
    text.trim_start().to_owned()
}

/// Writes what follows a key's colon, an element's dash or nothing.
fn write(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                line(text, depth);
                text.push_str(&scalar(key));
                text.push(':');
                write(text, value, depth + 1);
            }
        }
        Value::Array(array) if !array.is_empty() => {
            for value in array {
                line(text, depth);
                text.push('-');
                write(text, value, depth + 1);
            }
        }
        Value::String(value) => text.extend([" ", &scalar(value)]),
        value => text.extend([" ", &value.to_string()]),
    }
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Bare where no reader could take it for a number, a bool or syntax.
fn scalar(value: &str) -> String {
    let bare = value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && value.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&value.to_ascii_lowercase().as_str());
    if bare { value.to_owned() } else { Value::from(value).to_string() }
}
