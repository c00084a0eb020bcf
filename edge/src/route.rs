//! Which binding a request is for.

use std::collections::BTreeSet;

use http::{Method, Uri};
use malla_transcode::bind;
use malla_transcode::path::Slashes;
use malla_transcode::percent::Keep;
use malla_transcode::table::{Miss, Rule, Table};
use tonic::Status;

use crate::load::Binding;
use crate::rejection::Rejection;

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Route<'e> {
    /// To a binding, with its path variables decoded, in the template's order.
    To { rule: &'e Rule<Binding>, variables: Vec<String> },
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
    keep: Keep,
) -> Result<Route<'e>, Rejection> {
    let query = uri.query().unwrap_or_default();
    let path = Slashes { ignore_trailing: trailing_slash, ..Slashes::default() }.apply(uri.path());
    let found = match table.find(method.as_str(), &path, |name| bind::has(query, name)) {
        Ok(found) => found,
        Err(Miss::Malformed { .. }) => {
            let message = "the path has a '%' that is not followed by two hexadecimal digits";
            return Err(Rejection::new(Status::invalid_argument(message)));
        }
        Err(Miss::Path) => {
            let message = format!("there is nothing at {} {}", method, uri.path());
            return Err(Rejection::new(Status::not_found(message)));
        }
        Err(Miss::Method { allow }) => {
            let allow = allow.into_iter().map(str::to_owned).collect();
            if method == Method::OPTIONS {
                return Ok(Route::Options { allow });
            }
            return Err(Rejection::method_not_allowed(method.as_str(), &allow));
        }
    };
    let variables = found.variables(keep).map(|(variable, text)| {
        let text = text.map_err(|error| Rejection::field(&variable.field_path, format!("the path {error}")))?;
        Ok(text.into_owned())
    });
    Ok(Route::To { rule: found.rule, variables: variables.collect::<Result<_, Rejection>>()? })
}
