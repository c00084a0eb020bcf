//! What holds for single routes: `[[edge.routes]]`, laid over what the edge does everywhere.

use malla_runtime::config::Error;
use serde::{Deserialize, Serialize};

use super::{Config, ControlCharacters, Enums, Errors, Json, Names, Unknown};

#[cfg(test)]
mod tests;

/// Options of some routes, by one of `match` and `selector`. What is absent is as the edge has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// One route, as its rule has it: `GET /v1/items/{id}`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// All routes of some methods: `pkg.Service.Method`, or `*` for the last components: `pkg.Service.*`.
    pub selector: String,
    /// As `edge.json.names`.
    pub names: Option<Names>,
    /// As `edge.json.emit_defaults`.
    pub emit_defaults: Option<bool>,
    /// As `edge.json.enums`.
    pub enums: Option<Enums>,
    /// As `edge.errors`, from the moment a request has found its route.
    pub errors: Option<Errors>,
    /// As `edge.unknown_fields`.
    pub unknown_fields: Option<Unknown>,
    /// As `edge.unknown_query`.
    pub unknown_query: Option<Unknown>,
    /// As `edge.json_parameters`.
    pub json_parameters: Option<bool>,
    /// As `edge.control_characters`.
    pub control_characters: Option<ControlCharacters>,
}

impl Route {
    pub(super) fn check(&self, at: usize) -> Result<(), Error> {
        let key = |name| format!("edge.routes[{at}].{name}");
        let star = self.selector.find('*');
        match (&*self.pattern, &*self.selector) {
            ("", "") => Err(Error::missing(key("match"), "name a route by match or methods by selector")),
            ("", "*") => Ok(()),
            ("", selector) if star.is_none() || (star == Some(selector.len() - 1) && selector.ends_with(".*")) => {
                Ok(())
            }
            ("", selector) => Err(Error::invalid(key("selector"), selector, "a * may only be its last component")),
            (_, "") => Ok(()),
            (_, selector) => Err(Error::invalid(key("selector"), selector, "it cannot stand beside match")),
        }
    }

    /// Whether it is for a route of a method, by its full name.
    pub(crate) fn is_for(&self, method: &str, pattern: &str) -> bool {
        if self.selector.is_empty() {
            return self.pattern == pattern;
        }
        self.selector.strip_suffix('*').map_or(self.selector == method, |start| method.starts_with(start))
    }

    /// What it is for, as it was written.
    pub(crate) fn name(&self) -> &str {
        if self.selector.is_empty() { &self.pattern } else { &self.selector }
    }
}

/// All options of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) json: Json,
    pub(crate) errors: Errors,
    pub(crate) unknown_fields: Unknown,
    pub(crate) unknown_query: Unknown,
    pub(crate) json_parameters: bool,
    pub(crate) control_characters: ControlCharacters,
}

impl Config {
    /// The options of a route of a method.
    pub(crate) fn options(&self, method: &str, pattern: &str) -> Options {
        let whole = Options {
            json: self.json.clone(),
            errors: self.errors,
            unknown_fields: self.unknown_fields,
            unknown_query: self.unknown_query,
            json_parameters: self.json_parameters,
            control_characters: self.control_characters,
        };
        self.routes.iter().filter(|route| route.is_for(method, pattern)).fold(whole, |options, route| Options {
            json: Json {
                names: route.names.unwrap_or(options.json.names),
                emit_defaults: route.emit_defaults.unwrap_or(options.json.emit_defaults),
                enums: route.enums.unwrap_or(options.json.enums),
            },
            errors: route.errors.unwrap_or(options.errors),
            unknown_fields: route.unknown_fields.unwrap_or(options.unknown_fields),
            unknown_query: route.unknown_query.unwrap_or(options.unknown_query),
            json_parameters: route.json_parameters.unwrap_or(options.json_parameters),
            control_characters: route.control_characters.unwrap_or(options.control_characters),
        })
    }
}
