//! The document as a whole.

use std::collections::{BTreeMap, HashMap};

use malla_transcode::schema::Service;
use malla_transcode::template::Segment;
use serde_json::{Map, Value, json};

use crate::components::Components;
use crate::errors;
use crate::merge::merge;
use crate::operation::{self, operation};
use crate::path::Path;
use crate::text::{self, describe, object};
use crate::{Access, Api, Binding};

/// What a binding of any method is listed under.
const ANY: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];
/// The methods that a path item has a place for.
const KNOWN: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Writes the OpenAPI 3.1 document of an API. The same for the same input.
#[must_use]
pub fn document(api: &Api<'_>) -> Value {
    let names = names(api);
    let mut components: BTreeMap<String, Value> = errors::schemas(api);
    let mut operations = Vec::new();
    let mut backends: Vec<&str> = Vec::new();
    for binding in &api.bindings {
        if !backends.contains(&binding.backend) {
            backends.push(binding.backend);
        }
    }
    for backend in backends {
        let (mut own, mut types) = of_backend(api, backend, String::new(), &names);
        if types.iter().any(|(name, written)| components.get(name).is_some_and(|known| known != written)) {
            (own, types) = of_backend(api, backend, format!("{backend}."), &names);
        }
        operations.extend(own);
        components.extend(types);
    }
    // The most general binding last; what an operation is called comes from the first.
    operations.sort_by(|left, right| left.rank(api).cmp(&right.rank(api)));
    let responses = errors::responses(api);
    json!({
        "openapi": "3.1.0",
        "info": { "title": api.title, "version": api.version, "description": about(api) },
        "servers": [{ "url": "/" }],
        "tags": tags(api),
        "paths": paths(api, operations, &names, &responses),
        "components": {
            "schemas": components,
            "responses": responses,
            "parameters": operation::shared_parameters(),
            "securitySchemes": security_schemes(api),
        },
    })
}

/// One operation, and the binding it is of.
struct Operation {
    binding: usize,
    written: Map<String, Value>,
}

impl Operation {
    /// Where it stands: plain before those that need parameters, one segment before many.
    fn rank<'a>(&self, api: &Api<'a>) -> (bool, usize, bool, &'a str, usize) {
        let binding = &api.bindings[self.binding];
        let multi = binding.template.segments.contains(&Segment::Multi);
        (binding.http_method == "*", binding.required_query.len(), multi, &binding.template.text, self.binding)
    }
}

/// The names of the parameters of each path, by its shape: those of the first that has it, in the order of their text.
fn names(api: &Api<'_>) -> HashMap<String, Vec<String>> {
    let mut bindings: Vec<&Binding<'_>> = api.bindings.iter().collect();
    bindings.sort_by_key(|binding| (binding.template.segments.contains(&Segment::Multi), &binding.template.text));
    let mut names = HashMap::new();
    for binding in bindings {
        let path = Path::of(binding.template);
        names.entry(path.shape()).or_insert_with(|| path.names());
    }
    names
}

fn of_backend(
    api: &Api<'_>,
    backend: &str,
    prefix: String,
    names: &HashMap<String, Vec<String>>,
) -> (Vec<Operation>, BTreeMap<String, Value>) {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut operations = Vec::new();
    let own = || api.bindings.iter().enumerate().filter(|(_, binding)| binding.backend == backend);
    let Some((_, first)) = own().next() else { return (operations, BTreeMap::new()) };
    let mut types = Components::new(first.schema, api, prefix);
    for (at, binding) in own() {
        let number = numbers.entry(&binding.method.full_name).or_default();
        *number += 1;
        let names = &names[&Path::of(binding.template).shape()];
        operations.push(Operation { binding: at, written: operation(binding, *number, names, &mut types) });
    }
    (operations, types.finish())
}

fn paths(
    api: &Api<'_>,
    operations: Vec<Operation>,
    names: &HashMap<String, Vec<String>>,
    responses: &Map<String, Value>,
) -> Value {
    let mut paths: BTreeMap<String, BTreeMap<String, Map<String, Value>>> = BTreeMap::new();
    for Operation { binding, written } in operations {
        let binding = &api.bindings[binding];
        let path = Path::of(binding.template);
        let item = paths.entry(path.written(&names[&path.shape()])).or_default();
        if binding.http_method == "*" {
            for method in ANY {
                let mut written = written.clone();
                let id = format!("{}.{}", written["operationId"].as_str().unwrap_or_default(), method.to_lowercase());
                written.insert("operationId".to_owned(), id.into());
                // A method of its own comes first.
                item.entry(method.to_owned()).or_insert(written);
            }
            continue;
        }
        match item.get_mut(binding.http_method) {
            Some(known) => merge(known, written, binding.required_query, responses),
            None => drop(item.insert(binding.http_method.to_owned(), written)),
        }
    }
    let paths: Map<String, Value> = paths.into_iter().map(|(path, item)| (path, path_item(item))).collect();
    Value::Object(paths)
}

/// Methods that OpenAPI 3.1 has no place for stand where 3.2 has one, as an extension.
fn path_item(operations: BTreeMap<String, Map<String, Value>>) -> Value {
    let (known, others): (Map<String, Value>, Map<String, Value>) = operations
        .into_iter()
        .map(|(method, operation)| (method, Value::Object(operation)))
        .partition(|(method, _)| KNOWN.contains(&method.as_str()));
    let mut item: Map<String, Value> =
        known.into_iter().map(|(method, operation)| (method.to_lowercase(), operation)).collect();
    if !others.is_empty() {
        item.insert("x-additionalOperations".to_owned(), Value::Object(others));
    }
    Value::Object(item)
}

fn about(api: &Api<'_>) -> String {
    let defaults = text::defaults(api.json);
    format!(
        "REST and JSON for gRPC services; gRPC is on the same port. {defaults} Integers of 64 bits are strings; requests \
         may have them as numbers as well. In requests, fields have their name of the .proto or its lowerCamelCase form, \
         and null is the same as leaving out."
    )
}

fn tags(api: &Api<'_>) -> Vec<Value> {
    let mut services: BTreeMap<&str, &Service> = BTreeMap::new();
    for binding in &api.bindings {
        let name = binding.method.full_name.rsplit_once('.').map_or("", |(service, _)| service);
        services.extend(binding.schema.find_service(name).map(|service| (name, service)));
    }
    let tag = |(name, service): (&str, &Service)| {
        let mut tag = object(json!({ "name": name }));
        describe(&mut tag, &service.source.comment);
        Value::Object(tag)
    };
    services.into_iter().map(tag).collect()
}

fn security_schemes(api: &Api<'_>) -> Value {
    let has = |wanted: &[Access]| api.bindings.iter().any(|binding| wanted.contains(&binding.access));
    let mut schemes = Map::new();
    if has(&[Access::User, Access::OptionalUser]) {
        let user = json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's access token." });
        schemes.insert("user".to_owned(), user);
    }
    if has(&[Access::Operator]) {
        schemes.insert(
            "operator".to_owned(),
            json!({ "type": "http", "scheme": "bearer", "description": "The operators' token." }),
        );
    }
    Value::Object(schemes)
}
