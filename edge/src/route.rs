//! Which binding a request is for.

pub(crate) mod percent;
pub(crate) mod rule;
pub(crate) mod table;
pub(crate) mod template;

use std::collections::BTreeSet;

use http::{Method, Uri};

use crate::load::Binding;
use crate::rejection::Rejection;
use table::{Match, Miss, Table};

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Route<'e> {
    /// To a binding, with its path variables decoded, in the template's order.
    To { rule: &'e table::Rule<Binding>, variables: Vec<String> },
    /// Nowhere: it asks which methods the path has.
    Options { allow: BTreeSet<String> },
}

/// Finds the binding of a request.
///
/// # Errors
/// 404, 405, or 400 for a path that cannot be decoded.
pub(crate) fn find<'e>(
    table: &'e Table<Binding>,
    method: &Method,
    uri: &Uri,
    trailing_slash: bool,
) -> Result<Route<'e>, Rejection> {
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(given, _)| given == name);
    let path = match uri.path().strip_suffix('/') {
        Some(shorter) if trailing_slash && !shorter.is_empty() => shorter,
        _ => uri.path(),
    };
    match table.find(method.as_str(), path, has) {
        Ok(Match { rule, variables }) => Ok(Route::To { rule, variables: decode(rule, &variables)? }),
        Err(Miss::Path) => {
            let message = format!("there is nothing at {} {}", method, uri.path());
            Err(Rejection::new(tonic::Status::not_found(message)))
        }
        Err(Miss::Method { mut allow }) => {
            if allow.contains("GET") {
                allow.insert("HEAD".to_owned());
            }
            allow.insert("OPTIONS".to_owned());
            if method == Method::OPTIONS {
                return Ok(Route::Options { allow });
            }
            Err(Rejection::method_not_allowed(method.as_str(), &allow))
        }
    }
}

fn decode(rule: &table::Rule<Binding>, raw: &[String]) -> Result<Vec<String>, Rejection> {
    let variables = rule.template.variables.iter().zip(raw);
    variables
        .map(|(variable, raw)| {
            percent::decode(raw, variable.multi)
                .map_err(|error| Rejection::field(&variable.field_path, format!("the path {error}")))
        })
        .collect()
}
