//! From a request's path, query and body to the bytes of its message, and from those of its response to JSON, as one
//! binding has it.
//!
//! Nothing is built in between: the body's JSON becomes wire bytes in one pass, parameters are appended behind them, the
//! path's variables last. On the wire the last one counts, messages merge and repeated fields go on, so the path has
//! the last word; whatever contradicts it is refused all the same.

mod body;
mod explain;
mod given;
mod parameters;
mod path;
mod response;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::{Body, Route};
use crate::json::Alias;
use crate::schema::{Field, Kind, MessageId, Schema};
use crate::violation::{DIFFERS, VIOLATIONS_MAX, Violation};
use crate::wire;
pub use parameters::has;
pub use response::{ResponseOptions, ResponsePlan};

use given::{Given, Origin, Said};
use parameters::Parameters;
use value::Reader;

pub(crate) const HTTP_BODY: &str = "google.api.HttpBody";

/// What a binding says beyond its rule.
#[derive(Clone, Debug, Default)]
pub struct RequestOptions {
    /// Takes what loosely typed clients send. Default false.
    ///
    /// Fields come from the query, a form or a JSON object alike, and the body wins over the query; `"True"`, `yes` and
    /// `1` are bools, numbers and bools are strings, names of enums have any case; what is unknown is ignored.
    pub lenient: bool,
    /// Other names of fields, in the query, in a form and at the top of a JSON body: name -> field path. A field's own
    /// name wins over these. Default none.
    pub aliases: BTreeMap<String, String>,
    /// Query parameters that never bind. Default none.
    pub ignored_query: Vec<String>,
    /// Ignores fields of JSON that the message does not have, as `lenient` does too. Default false.
    pub ignore_unknown_fields: bool,
    /// Ignores parameters of a query or a form that are no fields, as `lenient` does too. Default false.
    pub ignore_unknown_parameters: bool,
    /// Parameters of a query or a form for `Struct`, `Value`, `ListValue` and `Any` are JSON, read as in a body. Without
    /// it only fields within them can be named (`value.string_value=x`). A `Value` of a lenient binding is the text
    /// itself in any case. Default false.
    pub json_parameters: bool,
    /// Refuses values of the path and of the query that have a control character (Unicode's category Cc: U+0000 to
    /// U+001F, U+007F to U+009F). What JSON writes as an escape is none, and bodies, forms too, may have any. Default
    /// false.
    pub refuse_control_characters: bool,
}

/// How the requests of one binding become messages.
#[derive(Clone, Debug)]
pub struct RequestPlan {
    schema: Arc<Schema>,
    message: MessageId,
    /// For each of the template's variables its field, by positions.
    variables: Vec<Vec<usize>>,
    body: Body,
    /// Whether there is a field that has to be given, whoever gives it.
    has_required: bool,
    /// Those of the options, resolved.
    aliases: Vec<Alias>,
    options: RequestOptions,
}

/// A request's body, by what it is.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'p> {
    /// There is none.
    Empty,
    /// JSON.
    Json(&'p [u8]),
    /// `application/x-www-form-urlencoded`.
    Form(&'p [u8]),
    /// For a `google.api.HttpBody`.
    Raw {
        /// Its media type; empty when not given.
        content_type: &'p str,
        /// Its bytes.
        data: &'p [u8],
    },
    /// The parts of `multipart/form-data`, put together by what they are.
    Parts {
        /// What [`RequestPlan::file`] made of the files.
        files: &'p [u8],
        /// One JSON object; empty without any.
        json: &'p [u8],
        /// What is text, as a form.
        form: &'p [u8],
    },
}

impl RequestPlan {
    /// Makes the plan of a route of this schema.
    ///
    /// # Errors
    /// All that does not fit: aliases of no field, variables that contradict each other or the body.
    pub fn compile(schema: Arc<Schema>, route: &Route<'_>, options: RequestOptions) -> Result<Self, Vec<String>> {
        let (message, variables) = (route.method().input, route.variables.clone());
        let mut problems = Vec::new();
        let mut given = Given::new(&schema, message, false);
        for path in &variables {
            if let Err(problem) = given.claim(path, None, Said::By(Origin::Body), &[]) {
                problems.push(format!("path variable {{{}}}: {problem}", path::name(&schema, message, path)));
            }
        }
        if let Body::Field(at) = route.body
            && let Err(problem) = given.only_member(0, message, &schema[message].fields[at])
        {
            problems.push(format!("body {}: {problem}", schema[message].fields[at].name));
        }
        let mut aliases = Vec::new();
        for (alias, path) in &options.aliases {
            let mut positions = Vec::new();
            match path::resolve(&schema, message, path, &mut positions) {
                Ok(None) => aliases.push((alias.clone(), positions)),
                Ok(Some(_)) => problems.push(format!("alias {alias} -> {path}: is an entry of a map")),
                Err(problem) => problems.push(format!("alias {alias} -> {path}: {problem}")),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let body = if let Body::Field(at) = route.body { vec![at] } else { Vec::new() };
        let requires = |path: &Vec<usize>| {
            let mut fields = path::fields(&schema, message, path);
            fields.any(|(_, field)| matches!(field.kind, Kind::Message(inner) if schema[inner].has_required))
        };
        let has_required = schema[message].has_required || variables.iter().chain([&body]).any(requires);
        Ok(Self { schema, message, variables, body: route.body, has_required, aliases, options })
    }

    /// The same message, all of it in the body.
    #[must_use]
    pub fn with_whole_body(&self) -> Self {
        Self { body: Body::Whole, ..self.clone() }
    }

    /// Whether the rule declares a body.
    #[must_use]
    pub fn has_body(&self) -> bool {
        self.body != Body::None
    }

    /// Whether the body is raw bytes of any type.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        match self.body {
            Body::None => false,
            Body::Whole => *self.schema[self.message].name == *HTTP_BODY,
            Body::Field(at) => is_http_body(&self.schema, &self.schema[self.message].fields[at]),
        }
    }

    /// Whether the binding takes what loosely typed clients send.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.options.lenient
    }

    /// Appends the request message. `variables` are the values of the template's variables, decoded, in the template's
    /// order; `query` is as it came.
    ///
    /// The path decides: a body or query that says otherwise is refused. So is a field given twice; on lenient bindings,
    /// whose clients send the same thing in several ways, the body then wins over the query, and what comes first over
    /// what comes later.
    ///
    /// # Errors
    /// All that is wrong with the request, by field; nothing is appended.
    pub fn decode<S: AsRef<str>>(
        &self,
        variables: &[S],
        query: &str,
        payload: Payload<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        debug_assert_eq!(variables.len(), self.variables.len(), "a value for each variable");
        let start = out.len();
        let result = self.append(variables, query, payload, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Appends a further message of a raw upload: the next piece and nothing else.
    pub fn piece(&self, data: &[u8], out: &mut Vec<u8>) {
        self.raw("", data, out);
    }

    /// Appends a further message of a stream. Path and query are the first one's, but what contradicts the path is refused.
    ///
    /// # Errors
    /// All that is wrong with the message, by field; nothing is appended.
    pub fn further<S: AsRef<str>>(
        &self,
        variables: &[S],
        payload: Payload<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        let start = out.len();
        let read = self.append::<&str>(&[], "", payload, out);
        let mut violations = read.err().unwrap_or_default();
        if !violations.is_empty() {
            out.truncate(start);
            return Err(violations);
        }
        for (path, text) in self.variables.iter().zip(variables) {
            let field = path::last(&self.schema, self.message, path);
            let mut record = Vec::new();
            let put = self.reader(true, path.len()).put(field, text.as_ref(), &mut record);
            if record.is_empty() {
                // As it is where defaults are kept.
                value::put_default(field, &mut record);
            }
            if put.is_err()
                || wire::agrees(&self.schema, &self.schema[self.message], path, &record, &out[start..]) != Ok(true)
            {
                violations.push(Violation::new(path::name(&self.schema, self.message, path), DIFFERS));
            }
        }
        if violations.is_empty() {
            return Ok(());
        }
        out.truncate(start);
        Err(violations)
    }

    /// How a value is read from a text, of the target or of a form, for a field this many messages deep.
    fn reader(&self, in_target: bool, depth: usize) -> Reader<'_> {
        let RequestOptions { lenient, json_parameters, refuse_control_characters, .. } = self.options;
        Reader {
            schema: &self.schema,
            lenient,
            json: json_parameters.then(|| self.json_options(depth)),
            refuse_control_characters: refuse_control_characters && in_target,
        }
    }

    fn append<S: AsRef<str>>(
        &self,
        variables: &[S],
        query: &str,
        payload: Payload<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        let start = out.len();
        let mut violations = Vec::new();
        let mut records = Vec::with_capacity(variables.len());
        for (path, text) in self.variables.iter().zip(variables) {
            let mut record = Vec::new();
            let field = path::last(&self.schema, self.message, path);
            let put = self.reader(true, path.len()).put(field, text.as_ref(), &mut record);
            let in_range = || value::check_range(&self.schema, self.message, path, &record);
            if let Err(all) = put.and_then(|()| in_range()) {
                let name = path::name(&self.schema, self.message, path);
                violations.extend(all.into_iter().map(|violation| violation.within(&name)));
            }
            records.push(record);
        }
        let mut form = "";
        let read = match payload {
            Payload::Empty => Ok(()),
            Payload::Raw { content_type, data } => {
                self.raw(content_type, data, out);
                Ok(())
            }
            Payload::Json(text) => self.json(text, &records, out),
            Payload::Form(text) => self.form(text, &records, out).map(|rest| form = rest),
            Payload::Parts { files, json, form: text } => {
                out.extend_from_slice(files);
                let json = if json.is_empty() { Ok(()) } else { self.json(json, &records, out) };
                json.and_then(|()| self.form(text, &records, out)).map(|rest| form = rest)
            }
        };
        let complete = read.is_ok();
        violations.extend(read.err().into_iter().flatten());
        let mut more = Vec::new();
        let is_parts = matches!(payload, Payload::Parts { .. });
        let has_aliases = !self.aliases.is_empty();
        if !form.is_empty() || !query.is_empty() || is_parts || has_aliases || self.has_required {
            let mut given = Given::new(&self.schema, self.message, self.options.lenient);
            given.violations = violations;
            for (path, record) in self.variables.iter().zip(&records) {
                let claimed = given.claim(path, None, Said::Path(record), record);
                debug_assert_eq!(claimed, Ok(true), "the plan was compiled");
            }
            given.body(&out[start..]);
            for (origin, text) in [(Origin::Body, form), (Origin::Query, query)] {
                Parameters { plan: self, origin, given: &mut given, out: &mut more }.bind(text);
            }
            if complete {
                given.check_required();
            }
            violations = given.violations;
        }
        if !violations.is_empty() {
            violations.truncate(VIOLATIONS_MAX);
            return Err(violations);
        }
        out.append(&mut more);
        for (path, record) in self.variables.iter().zip(&mut records) {
            if record.is_empty() {
                value::put_default(path::last(&self.schema, self.message, path), record);
            }
            value::put_within(&self.schema, self.message, &path[..path.len() - 1], record, out);
        }
        Ok(())
    }
}

/// Whether a value of the field is raw bytes with a media type.
pub(crate) fn is_http_body(schema: &Schema, field: &Field) -> bool {
    let Kind::Message(id) = field.kind else { return false };
    !field.is_repeated() && *schema[id].name == *HTTP_BODY
}
