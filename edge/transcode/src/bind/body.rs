//! A request's body to the bytes of its message.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;

use super::given::Origin;
use super::parameters::PARAMETERS_MAX;
use super::path::Wrong;
use super::{HTTP_BODY, RequestOptions, RequestPlan, parameters, path, value};
use crate::Violation;
use crate::check::Body;
use crate::json::{Bound, DecodeOptions, Decoder};
use crate::schema::{Field, Kind, WellKnown};
use crate::wire::{self, LENGTH};

/// How deep a request may nest: less than the 100 messages that protobuf's readers take, for what is kept of it comes back
/// within an answer.
const DEPTH_MAX: usize = 98;
/// To follow the name of a form's field.
const NO_FIELDS: &str = "is of a form, and the body of this call has no fields; send JSON";

impl RequestPlan {
    /// Appends what JSON gives; what the path gives too, `records`, it may only repeat.
    pub(super) fn json(&self, text: &[u8], records: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), Vec<Violation>> {
        let Self { schema, message, .. } = self;
        // What the query or an alias says again is known by what the body says, and a default is said too.
        let keep_defaults = self.options.lenient || !self.aliases.is_empty();
        let options = DecodeOptions { keep_defaults, partial: true, ..self.json_options(0) };
        let decoder = Decoder::new(schema, options);
        let bound: Vec<Bound<'_>> =
            self.variables.iter().zip(records).map(|(path, wire)| Bound { path, wire }).collect();
        match self.body {
            Body::Field(field) => {
                let read = decoder.field(*message, field, text, &bound, out);
                read.map_err(|all| all.into_iter().map(|violation| self.in_body(violation)).collect())
            }
            _ => decoder.with_aliases(&self.aliases).message(*message, text, &bound, out),
        }
    }

    /// How JSON is read that stands this many messages deep.
    pub(super) fn json_options(&self, depth: usize) -> DecodeOptions<'static> {
        let RequestOptions { lenient, ignore_unknown_fields, .. } = self.options;
        DecodeOptions {
            ignore_unknown: lenient || ignore_unknown_fields,
            lenient,
            exact_values: true,
            depth_max: DEPTH_MAX.saturating_sub(depth),
            ..DecodeOptions::default()
        }
    }

    /// Appends a body that is a `google.api.HttpBody`.
    pub(super) fn raw(&self, content_type: &str, data: &[u8], out: &mut Vec<u8>) {
        match self.body {
            Body::Field(at) => {
                let field = &self.schema[self.message].fields[at];
                let Ok(()) = value::framed(field, out, |out| put_http_body(content_type, data, out));
            }
            _ => {
                let Ok(()) = put_http_body(content_type, data, out);
            }
        }
    }

    /// Appends what the message has more when a file is put into a field of the body, which is `bytes` or
    /// `google.api.HttpBody`. To be put before the message's own bytes. Returns whether there may be several such files.
    ///
    /// # Errors
    /// The field is not there, or is of another type; nothing is appended.
    pub fn file(&self, name: &str, content_type: &str, data: &[u8], out: &mut Vec<u8>) -> Result<bool, Violation> {
        let (schema, message) = (&self.schema, self.message);
        let (path, key) = self.resolve(Origin::Body, name).map_err(|problem| Violation::new(name, problem))?;
        if self.variables.iter().any(|variable| variable.starts_with(&path) || path.starts_with(variable)) {
            return Err(Violation::new(name, "is given by the path; leave it out"));
        }
        let field = path::last(schema, message, &path);
        let mut record = Vec::new();
        match field.kind {
            Kind::Bytes => {
                wire::put_tag(&mut record, field.number, LENGTH);
                wire::put_bytes(&mut record, data);
            }
            Kind::Message(id) if key.is_none() && *schema[id].name == *HTTP_BODY => {
                let Ok(()) = value::framed(field, &mut record, |out| put_http_body(content_type, data, out));
            }
            _ => return Err(Violation::new(name, "takes no file")),
        }
        value::put_within(schema, message, &path[..path.len() - 1], &record, out);
        Ok(field.is_repeated())
    }

    /// What is wrong in the body, with its place in the message.
    pub(super) fn in_body(&self, violation: Violation) -> Violation {
        let Body::Field(at) = self.body else { return violation };
        violation.within(&self.schema[self.message].fields[at].name)
    }

    /// The path of a field that is named in the query, or in a form: there below the field that the body is.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(super) fn resolve<'p>(
        &'p self,
        origin: Origin,
        name: &'p str,
    ) -> Result<(Vec<usize>, Option<&'p str>), Wrong<'p>> {
        let (mut path, mut from) = (Vec::new(), self.message);
        if let (Origin::Body, Body::Field(at)) = (origin, self.body) {
            path.push(at);
            from = match &self.schema[from].fields[at] {
                Field { kind: Kind::Message(inner), .. } if !self.schema[from].fields[at].is_repeated() => *inner,
                _ => return Err(Wrong::Other(NO_FIELDS.to_owned())),
            };
        }
        let key = path::resolve(&self.schema, from, name, &mut path)?;
        Ok((path, key))
    }

    /// What of a form is to be bound as parameters: all of it, but where the body is any JSON; there it is an object of
    /// strings.
    pub(super) fn form<'t>(
        &self,
        text: &'t [u8],
        records: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) -> Result<&'t str, Vec<Violation>> {
        let wrong = |name: &str, what: &str| vec![Violation::new(name, what)];
        let text = std::str::from_utf8(text).map_err(|_| wrong("", "is no form in UTF-8"))?;
        // `[pkg.extension]=5` and `[pkg.extension].x=5` are a form's.
        let behind = text.strip_prefix('[').and_then(|name| name.split_once(']')).map_or("", |(_, rest)| rest);
        if !self.options.lenient && text.starts_with(['{', '[']) && !behind.starts_with(['=', '.']) {
            let hint = "looks like JSON, but its content type says it is a form: send content-type: application/json";
            return Err(wrong("", hint));
        }
        if text.is_empty() || !self.is_any_object() {
            return Ok(text);
        }
        if parameters::pairs(text).count() > PARAMETERS_MAX {
            return Err(wrong("", &format!("more than {PARAMETERS_MAX} parameters")));
        }
        let wrong_at = |name: &str, what: &str| vec![self.in_body(Violation::new(name, what))];
        let mut object = BTreeMap::new();
        for (raw_name, raw_value) in parameters::pairs(text) {
            let decode = |raw| {
                parameters::decode(raw, self.options.lenient).map_err(|error| wrong_at(raw_name, &error.to_string()))
            };
            let (name, value) = (decode(raw_name)?, decode(raw_value)?);
            match object.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(_) if self.options.lenient => {}
                Entry::Occupied(_) => return Err(wrong_at(raw_name, "is given twice")),
            }
        }
        let json = serde_json::to_vec(&object).expect("texts are JSON");
        self.json(&json, records, out).map(|()| "")
    }

    fn is_any_object(&self) -> bool {
        let Body::Field(at) = self.body else { return false };
        let field = &self.schema[self.message].fields[at];
        let Kind::Message(id) = field.kind else { return false };
        !field.is_repeated() && matches!(self.schema[id].well_known, Some(WellKnown::Value | WellKnown::Struct))
    }
}

/// The fields of a `google.api.HttpBody`.
fn put_http_body(content_type: &str, data: &[u8], out: &mut Vec<u8>) -> Result<(), Infallible> {
    for (number, bytes) in [(1, content_type.as_bytes()), (2, data)] {
        if !bytes.is_empty() {
            wire::put_tag(out, number, LENGTH);
            wire::put_bytes(out, bytes);
        }
    }
    Ok(())
}
