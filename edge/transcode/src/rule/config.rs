//! The `http` part of a service's configuration (`google.api.Service`), in YAML or JSON.

use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::{Spanned, UserMessageFormatter};

use crate::check::{Code, Finding};
use crate::nearest;
use crate::percent::Keep;
use crate::schema::{CustomHttpPattern, HttpRule, Method, Pattern, Schema};

/// The longest configuration that is read: 4 MiB.
pub const CONFIG_BYTES_MAX: usize = 4 << 20;

/// The rules of configurations, in the order they came: the last that selects a method counts.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// All rules.
    pub rules: Vec<ConfigRule>,
    /// What `fully_decode_reserved_expansion` says, where it is said; the last counts.
    pub keep: Option<Keep>,
}

/// A rule and the methods it is for.
#[derive(Clone, Debug)]
pub struct ConfigRule {
    /// `package.Service.Method`, or a `*` in place of whole components at the end.
    pub selector: String,
    /// Its bindings.
    pub rule: HttpRule,
    /// The name of the configuration.
    pub file: Arc<str>,
    /// Where its selector, or else the rule, stands, from 1; 0 if it is not known.
    pub line: u32,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ConfigError {
    file: String,
    problem: String,
}

impl Config {
    /// Reads a configuration; its rules come after those already there. `file` is its name for messages.
    ///
    /// # Errors
    /// It is too long, is not YAML, or its `http` is not what `google.api.Http` says. Other parts are not looked at.
    pub fn read(&mut self, file: &str, text: &str) -> Result<(), ConfigError> {
        let refused = |problem: String| ConfigError { file: file.to_owned(), problem };
        if text.len() > CONFIG_BYTES_MAX {
            return Err(refused(format!("it has {} bytes; {CONFIG_BYTES_MAX} are read at most", text.len())));
        }
        let service: Service = serde_saphyr::from_str(text)
            .map_err(|error| refused(error.render_with_formatter(&UserMessageFormatter)))?;
        let Some(http) = service.http else { return Ok(()) };
        let name: Arc<str> = file.into();
        for Spanned { value: written, referenced, .. } in http.rules.unwrap_or_default() {
            let place = written.selector.as_ref().map_or(referenced, |selector| selector.referenced);
            let line = u32::try_from(place.line()).unwrap_or_default();
            let rule = written.rule().map_err(|problem| refused(format!("line {line}: {problem}")))?;
            let selector = rule.selector.clone();
            if !is_selector(&selector) {
                let problem = "a selector names a method, or ends in a component that is '*'";
                return Err(refused(format!("line {line}: \"{selector}\": {problem}")));
            }
            self.rules.push(ConfigRule { selector, rule, file: name.clone(), line });
        }
        let keep = http.fully_decode_reserved_expansion.map(|fully| if fully { Keep::Slash } else { Keep::Reserved });
        self.keep = keep.or(self.keep);
        Ok(())
    }

    /// The rule for a method.
    pub(super) fn rule(&self, method: &str) -> Option<&ConfigRule> {
        self.rules.iter().rev().find(|rule| selects(&rule.selector, method))
    }

    pub(super) fn unknown_selectors(&self, methods: &[(&Schema, &Method)]) -> Vec<Finding> {
        let names = || methods.iter().map(|(_, method)| method.full_name.as_ref());
        let unknown = self.rules.iter().filter(|rule| !names().any(|name| selects(&rule.selector, name)));
        let finding = |rule: &ConfigRule| {
            let message = "its selector matches no method";
            let near = nearest(&rule.selector, names()).map(|name| format!("did you mean \"{name}\"?"));
            let finding = Finding::new(Code::UnknownSelector, &rule.file, rule.line, &rule.selector, message);
            Finding { binding: super::binding(&rule.rule).to_string(), ..finding }.help(near.unwrap_or_default())
        };
        unknown.map(finding).collect()
    }
}

fn is_selector(selector: &str) -> bool {
    let words = selector
        .strip_suffix('*')
        .map_or(Some(selector), |all| if all.is_empty() { None } else { all.strip_suffix('.') });
    words.map_or(selector == "*", |words| {
        words
            .split('.')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    })
}

fn selects(selector: &str, method: &str) -> bool {
    selector.strip_suffix('*').map_or(selector == method, |start| method.starts_with(start))
}

#[derive(Deserialize)]
struct Service {
    http: Option<Http>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    rules: Option<Vec<Spanned<Rule>>>,
    #[serde(alias = "fullyDecodeReservedExpansion")]
    fully_decode_reserved_expansion: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    selector: Option<Spanned<String>>,
    get: Option<String>,
    put: Option<String>,
    post: Option<String>,
    delete: Option<String>,
    patch: Option<String>,
    custom: Option<Custom>,
    #[serde(default)]
    body: String,
    #[serde(default, alias = "responseBody")]
    response_body: String,
    #[serde(default, alias = "additionalBindings")]
    additional_bindings: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Custom {
    kind: String,
    path: String,
}

impl Rule {
    fn rule(self) -> Result<HttpRule, &'static str> {
        let custom = self.custom.map(|Custom { kind, path }| Pattern::Custom(CustomHttpPattern { kind, path }));
        let mut patterns = [
            self.get.map(Pattern::Get),
            self.put.map(Pattern::Put),
            self.post.map(Pattern::Post),
            self.delete.map(Pattern::Delete),
            self.patch.map(Pattern::Patch),
            custom,
        ]
        .into_iter()
        .flatten();
        let pattern = patterns.next();
        if patterns.next().is_some() {
            return Err(
                "a rule has one of get, put, post, delete, patch and custom; write the others as additional_bindings",
            );
        }
        Ok(HttpRule {
            selector: self.selector.map_or(String::new(), |selector| selector.value),
            pattern,
            body: self.body,
            additional_bindings: self.additional_bindings.into_iter().map(Self::rule).collect::<Result<_, _>>()?,
            response_body: self.response_body,
        })
    }
}
