//! Which HTTP bindings a method has: those of its annotation, those a service's configuration puts in their place, or the
//! one made up for a method without any. It does not look into them; that is for [`crate::check`].

use std::fmt;
use std::sync::Arc;

use crate::check::{Code, Finding};
use crate::schema::{HttpRule, Method, Pattern, Schema};

mod config;
#[cfg(test)]
mod tests;

pub use config::{CONFIG_BYTES_MAX, Config, ConfigError, ConfigRule};

/// One HTTP binding, as declared. Displayed as `GET /v1/items/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The HTTP method; `*` for any.
    pub http_method: String,
    /// The path's template.
    pub path: String,
    /// Empty, `*` or a field.
    pub body: String,
    /// Empty or a field.
    pub response_body: String,
}

/// One HTTP binding, and where it comes from.
#[derive(Clone, Debug)]
pub struct Declared<'s> {
    /// What the method's messages are declared in.
    pub schema: &'s Schema,
    /// Whose binding it is.
    pub method: &'s Method,
    /// What was declared.
    pub binding: Binding,
    /// 0 for the rule itself, from 1 for its `additional_bindings`.
    pub index: usize,
    /// The file that declares it.
    pub file: Arc<str>,
    /// Its line there, from 1; 0 if it is not known.
    pub line: u32,
    /// Query parameters without which it does not match; none, unless the caller puts some here.
    pub required_query: Vec<String>,
}

impl Declared<'_> {
    /// A finding about it.
    #[must_use]
    pub fn finding(&self, code: Code, message: impl Into<String>) -> Finding {
        let finding = Finding::new(code, &self.file, self.line, &self.method.full_name, message);
        Finding { binding: self.binding.to_string(), ..finding }
    }
}

/// All bindings of these methods. A rule of a configuration takes the place of the whole annotation, and the last of
/// several that select a method counts; with `auto` a method that has neither is `POST /package.Service/Method` with
/// the whole message as its body.
#[must_use]
pub fn declare<'s>(
    methods: &[(&'s Schema, &'s Method)],
    config: &Config,
    auto: bool,
) -> (Vec<Declared<'s>>, Vec<Finding>) {
    let (mut declared, mut findings) = (Vec::new(), Vec::new());
    for (schema, method) in methods {
        let made;
        let (main, file, line) = match (config.rule(&method.full_name), &method.http) {
            (Some(rule), _) => (&rule.rule, &rule.file, rule.line),
            (None, Some(rule)) => (rule, &method.source.file, method.http_line),
            (None, None) if auto => {
                let pattern = Some(Pattern::Post(method.path.to_string()));
                made = HttpRule { pattern, body: "*".to_owned(), ..HttpRule::default() };
                (&made, &method.source.file, method.source.line)
            }
            (None, None) => continue,
        };
        for (index, rule) in std::iter::once(main).chain(&main.additional_bindings).enumerate() {
            let (binding, file) = (binding(rule), file.clone());
            let one = Declared { schema, method, binding, index, file, line, required_query: Vec::new() };
            if index > 0 && !rule.additional_bindings.is_empty() {
                let message = "an additional binding has additional_bindings of its own, which do not count";
                findings.push(one.finding(Code::NestedBindings, message.to_owned()).help("move them one level up"));
            }
            if index > 0 && one.binding.body != main.body {
                let [body, own] =
                    [&one.binding.body, &main.body].map(|body| if body.is_empty() { "none" } else { body });
                let message = format!("its body is {body}, that of its method's first binding {own}");
                let help = "AIP-127 wants one body for all of them: make them the same, or give it a method of its own";
                findings.push(one.finding(Code::BodyDiffers, message).help(help));
            }
            match rule.pattern {
                Some(_) => declared.push(one),
                // To say nothing is how a configuration takes an annotation away.
                None if index == 0 && config.rule(&method.full_name).is_some() => {}
                None => {
                    let message = "its google.api.http rule has no HTTP method and path, so it binds nothing";
                    findings.push(one.finding(Code::NoPattern, message.to_owned()));
                }
            }
        }
    }
    findings.extend(config.unknown_selectors(methods));
    (declared, findings)
}

fn binding(rule: &HttpRule) -> Binding {
    let (http_method, path) = match &rule.pattern {
        Some(Pattern::Get(path)) => ("GET", path.as_str()),
        Some(Pattern::Put(path)) => ("PUT", path.as_str()),
        Some(Pattern::Post(path)) => ("POST", path.as_str()),
        Some(Pattern::Delete(path)) => ("DELETE", path.as_str()),
        Some(Pattern::Patch(path)) => ("PATCH", path.as_str()),
        Some(Pattern::Custom(custom)) => (custom.kind.as_str(), custom.path.as_str()),
        None => ("", ""),
    };
    Binding {
        http_method: http_method.to_owned(),
        path: path.to_owned(),
        body: rule.body.clone(),
        response_body: rule.response_body.clone(),
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.http_method.is_empty() && self.path.is_empty() {
            return Ok(());
        }
        write!(f, "{} {}", self.http_method, self.path)
    }
}
