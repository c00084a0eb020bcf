//! From path, query and body to the bytes of a request message, as one binding has it.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use serde_json::{Map, Value};

use super::fields::FieldPath;
use super::params::{self, Rules};
use super::{HttpBody, Violation, http_body, scalar, shape, tree};

#[cfg(test)]
mod tests;

/// What a binding declares, before it is held against its message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    /// Field paths of the template's variables.
    pub(crate) variables: Vec<String>,
    /// `body` of the rule: empty, `*` or a field.
    pub(crate) body: String,
    pub(crate) lenient: bool,
    pub(crate) aliases: BTreeMap<String, String>,
    /// Query parameters that never bind.
    pub(crate) ignored_query: Vec<String>,
}

/// How the requests of one binding become messages.
#[derive(Clone, Debug)]
pub(crate) struct RequestPlan {
    message: MessageDescriptor,
    variables: Vec<FieldPath>,
    body: BodyTarget,
    lenient: bool,
    aliases: BTreeMap<String, String>,
    ignored_query: Vec<String>,
}

#[derive(Clone, Debug)]
enum BodyTarget {
    None,
    Whole,
    Field(FieldDescriptor),
}

/// What a request carries besides its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'i> {
    /// Values of the template's variables, decoded, in the template's order.
    pub(crate) variables: &'i [String],
    /// The query as it came.
    pub(crate) query: &'i str,
}

/// A request's body, by what it is.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Empty,
    Json(Bytes),
    Form(Bytes),
    /// For a body field of type `google.api.HttpBody`.
    Raw(HttpBody),
}

impl RequestPlan {
    /// Holds a binding against its method.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub(crate) fn compile(method: &MethodDescriptor, spec: Spec) -> Result<Self, Vec<String>> {
        let message = method.input();
        let mut problems = Vec::new();
        let mut variables = Vec::new();
        for name in &spec.variables {
            match variable(&message, name) {
                Ok(path) => variables.push(path),
                Err(problem) => problems.push(format!("path variable {{{name}}}: {problem}")),
            }
        }
        let body = match spec.body.as_str() {
            "" => BodyTarget::None,
            "*" => BodyTarget::Whole,
            name => match message.get_field_by_name(name) {
                Some(field) => BodyTarget::Field(field),
                None => {
                    problems.push(format!("body: \"{name}\" is not a field of {}", message.full_name()));
                    BodyTarget::None
                }
            },
        };
        for (alias, path) in &spec.aliases {
            if let Err(problem) = FieldPath::resolve(&message, path) {
                problems.push(format!("alias {alias} -> {path}: {problem}"));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let Spec { lenient, aliases, ignored_query, .. } = spec;
        Ok(Self { message, variables, body, lenient, aliases, ignored_query })
    }

    /// Whether the rule declares a body.
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.body, BodyTarget::None)
    }

    /// Whether the body is raw bytes of any type.
    pub(crate) fn is_raw(&self) -> bool {
        match &self.body {
            BodyTarget::None => false,
            BodyTarget::Whole => self.message.full_name() == http_body::NAME,
            BodyTarget::Field(field) => !field.is_list() && http_body::is(&field.kind()),
        }
    }

    /// Whether the binding takes what loosely typed clients send.
    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// Makes the request message.
    ///
    /// The path decides: a body or query that says otherwise is refused. So is a field given by both body and query; on
    /// lenient bindings, whose clients send the same thing twice, the body then wins, and in it a field's own name wins
    /// over an alias.
    ///
    /// # Errors
    /// All that is wrong with the request, by field.
    pub(crate) fn decode(&self, input: Input<'_>, payload: Payload) -> Result<Bytes, Vec<Violation>> {
        let mut message = self.body(payload)?;
        let mut violations = self.query(&mut message, input.query)?;
        for (path, text) in self.variables.iter().zip(input.variables) {
            if let Err(description) = self.bind_variable(&mut message, path, text) {
                violations.push(Violation::new(path.name(), description));
            }
        }
        if violations.is_empty() { Ok(message.encode_to_vec().into()) } else { Err(violations) }
    }

    /// Makes a further message of a raw upload: the next piece and nothing else.
    pub(crate) fn piece(&self, data: Bytes) -> Bytes {
        self.raw(HttpBody { content_type: String::new(), data }).encode_to_vec().into()
    }

    fn body(&self, payload: Payload) -> Result<DynamicMessage, Vec<Violation>> {
        match payload {
            Payload::Empty => Ok(DynamicMessage::new(self.message.clone())),
            Payload::Raw(body) => Ok(self.raw(body)),
            Payload::Json(text) => self.json(&text),
            Payload::Form(text) => self.form(&text),
        }
    }

    fn raw(&self, body: HttpBody) -> DynamicMessage {
        if let BodyTarget::Field(field) = &self.body
            && let Kind::Message(descriptor) = field.kind()
        {
            let mut message = DynamicMessage::new(self.message.clone());
            message.set_field(field, prost_reflect::Value::Message(body.into_message(descriptor)));
            return message;
        }
        body.into_message(self.message.clone())
    }

    fn json(&self, text: &[u8]) -> Result<DynamicMessage, Vec<Violation>> {
        let body = tree::parse(text).map_err(|problem| vec![Violation::new("", problem)])?;
        self.read(match &self.body {
            BodyTarget::Field(field) => Value::Object(Map::from_iter([(field.name().to_owned(), body)])),
            _ => self.rename(body),
        })
    }

    /// Reads the whole message from a tree of its fields.
    fn read(&self, mut tree: Value) -> Result<DynamicMessage, Vec<Violation>> {
        let violations = shape::check(&mut tree, &self.message, self.lenient);
        if !violations.is_empty() {
            return Err(violations);
        }
        let mut track = serde_path_to_error::Track::new();
        let reader = serde_path_to_error::Deserializer::new(tree, &mut track);
        let options = DeserializeOptions::new().deny_unknown_fields(!self.lenient);
        DynamicMessage::deserialize_with_options(self.message.clone(), reader, &options).map_err(|error| {
            let path = track.path().to_string();
            vec![Violation::new(if path == "." { "" } else { &path }, error.to_string())]
        })
    }

    /// Puts what is given under other names where it belongs.
    fn rename(&self, body: Value) -> Value {
        let Value::Object(mut object) = body else { return body };
        for (alias, path) in &self.aliases {
            let Some(value) = object.remove(alias) else { continue };
            let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
            let mut parents = parents.split('.').filter(|parent| !parent.is_empty());
            let holder = parents.try_fold(&mut object, |object, parent| {
                object.entry(parent).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
            });
            if let Some(holder) = holder {
                holder.entry(name).or_insert(value);
            }
        }
        Value::Object(object)
    }

    fn form(&self, text: &[u8]) -> Result<DynamicMessage, Vec<Violation>> {
        let pairs = params::split(text).map_err(|violation| vec![violation])?;
        if !self.lenient && pairs.first().is_some_and(|(name, _)| name.starts_with(['{', '['])) {
            let hint = "looks like JSON, but its content type says it is a form: send content-type: application/json";
            return Err(vec![Violation::new("", hint)]);
        }
        let mut message = DynamicMessage::new(self.message.clone());
        let BodyTarget::Field(field) = &self.body else {
            let rules = Rules { lenient: self.lenient, aliases: &self.aliases, taken: None };
            let violations = params::bind(&mut message, &pairs, &rules);
            return if violations.is_empty() { Ok(message) } else { Err(violations) };
        };
        if let Kind::Message(inner) = field.kind()
            && matches!(inner.full_name(), "google.protobuf.Value" | "google.protobuf.Struct")
        {
            let object = pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
            return self.read(Value::Object(Map::from_iter([(field.name().to_owned(), Value::Object(object))])));
        }
        let inside = |(name, text)| (format!("{}.{name}", field.name()), text);
        let pairs: Vec<_> = pairs.into_iter().map(inside).collect();
        let rules = Rules { lenient: self.lenient, aliases: &BTreeMap::new(), taken: None };
        let violations = params::bind(&mut message, &pairs, &rules);
        if violations.is_empty() { Ok(message) } else { Err(violations) }
    }

    fn query(&self, message: &mut DynamicMessage, query: &str) -> Result<Vec<Violation>, Vec<Violation>> {
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let mut pairs = params::split(query.as_bytes()).map_err(|violation| vec![violation])?;
        pairs.retain(|(name, _)| !self.ignored_query.contains(name));
        if matches!(self.body, BodyTarget::Whole) && !self.lenient {
            let refuse = |(name, _)| Violation::new(name, "belongs in the body, which carries all fields of this call");
            return Ok(pairs.into_iter().map(refuse).collect());
        }
        let taken = if let BodyTarget::Field(field) = &self.body { Some(field) } else { None };
        let rules = Rules { lenient: self.lenient, aliases: &self.aliases, taken };
        Ok(params::bind(message, &pairs, &rules))
    }

    /// The path decides; a body or query that says otherwise is refused, never silently overruled.
    fn bind_variable(&self, message: &mut DynamicMessage, path: &FieldPath, text: &str) -> Result<(), String> {
        let value = scalar::parse(&path.field.kind(), text, self.lenient)?;
        match path.get(message) {
            Some(given) if given != value => Err("differs from the value in the path".to_owned()),
            _ => {
                path.parent(message)?.set_field(&path.field, value);
                Ok(())
            }
        }
    }
}

fn variable(message: &MessageDescriptor, name: &str) -> Result<FieldPath, String> {
    let path = FieldPath::resolve(message, name)?;
    if path.field.is_list() || path.field.is_map() {
        return Err("is repeated, and a path has one value".to_owned());
    }
    if !scalar::has_text(&path.field.kind()) {
        return Err("is a message; name one of its fields".to_owned());
    }
    Ok(path)
}
