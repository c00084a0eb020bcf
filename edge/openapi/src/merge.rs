//! Two bindings that OpenAPI cannot tell apart, as one operation: those whose paths differ only in what their segments
//! may be, and those that the query tells apart.

use serde_json::{Map, Value, json};

use crate::errors::resolved;
use crate::operation::UNKNOWN_QUERY;

/// Adds `other` to an operation, which keeps its id and summary. `responses` are those they may refer to.
pub(crate) fn merge(
    operation: &mut Map<String, Value>,
    mut other: Map<String, Value>,
    required_query: &[String],
    responses: &Map<String, Value>,
) {
    let text = |operation: &Map<String, Value>, key: &str| {
        operation.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let when = if required_query.is_empty() {
        "For other paths".to_owned()
    } else {
        format!("With the parameters `{}`", required_query.join("`, `"))
    };
    let about = format!("{}\n\n{when}: {}", text(operation, "description"), text(&other, "description"));
    operation.insert("description".to_owned(), about.trim().into());
    for key in ["tags", "x-malla-rpcs", "security"] {
        union(operation, &other, key);
    }
    if !other.contains_key(UNKNOWN_QUERY) {
        operation.remove(UNKNOWN_QUERY);
    }
    let theirs = other.remove("parameters");
    parameters(operation, theirs.as_ref().and_then(Value::as_array).map_or(&[], Vec::as_slice));
    if let Some(body) = other.remove("requestBody") {
        match operation.get_mut("requestBody") {
            None => drop(operation.insert("requestBody".to_owned(), body)),
            Some(own) => content(own, body),
        }
    }
    let Some(Value::Object(theirs)) = other.remove("responses") else { return };
    if let Some(own) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for (status, response) in theirs {
            match own.get_mut(&status) {
                None => drop(own.insert(status, response)),
                Some(own) if *own == response => {}
                Some(own) => {
                    *own = resolved(own.take(), responses);
                    content(own, resolved(response, responses));
                }
            }
        }
    }
}

fn union(operation: &mut Map<String, Value>, other: &Map<String, Value>, key: &str) {
    let (Some(own), Some(theirs)) = (operation.get_mut(key).and_then(Value::as_array_mut), other.get(key)) else {
        return;
    };
    // No requirement at all, beside others, is a choice of its own.
    if key == "security" && own.is_empty() != (theirs == &json!([])) {
        own.insert(0, json!({}));
    }
    for value in theirs.as_array().into_iter().flatten() {
        if !own.contains(value) {
            own.push(value.clone());
        }
    }
}

/// What only one of them has to have, or has, is optional.
fn parameters(operation: &mut Map<String, Value>, theirs: &[Value]) {
    let entry = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(own) = entry.as_array_mut() else { return };
    let id = |parameter: &Value| [&parameter["$ref"], &parameter["in"], &parameter["name"]].map(ToString::to_string);
    let is_required = |all: &[Value], wanted: &Value| {
        all.iter().any(|parameter| id(parameter) == id(wanted) && parameter["required"] == true)
    };
    for parameter in own.iter_mut().filter(|parameter| parameter["in"] == "query") {
        if !is_required(theirs, parameter)
            && let Some(parameter) = parameter.as_object_mut()
        {
            parameter.remove("required");
        }
    }
    for parameter in theirs {
        if !own.iter().any(|known| id(known) == id(parameter)) {
            let mut parameter = parameter.clone();
            if let Some(parameter) =
                parameter.as_object_mut().filter(|parameter| parameter.get("in") != Some(&"path".into()))
            {
                parameter.remove("required");
            }
            own.push(parameter);
        }
    }
}

/// Of each media type either schema.
fn content(own: &mut Value, theirs: Value) {
    if *own == theirs {
        return;
    }
    let Some(Value::Object(theirs)) = theirs.get("content").cloned() else { return };
    let Some(own) = own.as_object_mut() else { return };
    let entry = own.entry("content").or_insert_with(|| json!({}));
    let Some(own) = entry.as_object_mut() else { return };
    for (media_type, value) in theirs {
        match own.get_mut(&media_type) {
            None => drop(own.insert(media_type, value)),
            Some(known) if *known != value => {
                *known = json!({ "schema": { "anyOf": [known["schema"].take(), value["schema"]] } });
            }
            Some(_) => {}
        }
    }
}
