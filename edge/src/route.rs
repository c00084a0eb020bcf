//! Which binding a request is for.

use std::collections::BTreeSet;

use http::{Method, Uri};
use malla_transcode::percent::Keep;
use malla_transcode::table::{Match, Miss, Rule, Table};
use malla_transcode::{bind, path};
use tonic::Status;

use crate::load::Binding;
use crate::rejection::Rejection;

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Route<'e> {
    /// To a binding, with its path variables decoded, in the template's order.
    To { rule: &'e Rule<Binding>, variables: Vec<String> },
    /// Nowhere: it asks which methods the path has, as `Allow` names them.
    Options { allow: String },
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
    keep: Keep,
) -> Result<Route<'e>, Rejection> {
    let found = match search(table, method, uri, trailing_slash) {
        Ok(found) => found,
        Err(Miss::Method { allow }) if method == Method::OPTIONS => return Ok(Route::Options { allow: joined(allow) }),
        Err(miss) => return Err(refused(miss, method, uri)),
    };
    let variables = found.variables(keep).map(|(variable, text)| {
        let text = text.map_err(|error| Rejection::field(&variable.field_path, format!("the path {error}")))?;
        Ok(text.into_owned())
    });
    Ok(Route::To { rule: found.rule, variables: variables.collect::<Result<_, Rejection>>()? })
}

/// The methods a page may use that asks for one, as `Allow` names them: that alone where it is bound, else those that are.
///
/// # Errors
/// 404, or 400 for a path that cannot be decoded.
pub(crate) fn allowed(
    table: &Table<Binding>,
    asked: &Method,
    uri: &Uri,
    trailing_slash: bool,
) -> Result<String, Rejection> {
    match search(table, asked, uri, trailing_slash) {
        Ok(_) => Ok(asked.to_string()),
        Err(Miss::Method { allow }) => Ok(joined(allow)),
        Err(miss) => Err(refused(miss, asked, uri)),
    }
}

fn search<'t, 'u>(
    table: &'t Table<Binding>,
    method: &Method,
    uri: &'u Uri,
    trailing_slash: bool,
) -> Result<Match<'t, 'u, Binding>, Miss<'t>> {
    let query = uri.query().unwrap_or_default();
    let path = if trailing_slash { path::without_trailing_slashes(uri.path()) } else { uri.path() };
    table.find(method.as_str(), path, |name| bind::has(query, name))
}

fn refused(miss: Miss<'_>, method: &Method, uri: &Uri) -> Rejection {
    match miss {
        Miss::Malformed { .. } => {
            let message = "the path has a '%' that is not followed by two hexadecimal digits";
            Rejection::new(Status::invalid_argument(message))
        }
        Miss::Path => Rejection::new(Status::not_found(format!("there is nothing at {} {}", method, uri.path()))),
        Miss::Method { allow } => Rejection::method_not_allowed(method.as_str(), &joined(allow)),
    }
}

fn joined(methods: BTreeSet<&str>) -> String {
    Vec::from_iter(methods).join(", ")
}
