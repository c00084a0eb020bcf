//! How headers are read that are lists: their elements (RFC 9110 5.6.1), the weights of these (12.4.2), and media types,
//! which have no case (8.3.1).

use std::borrow::Cow;

use http::header::AsHeaderName;
use http::{HeaderMap, header};

#[cfg(test)]
mod tests;

/// The elements of a header, of all its lines together.
pub(crate) fn of(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

/// The same without their parameters, each with how much it is liked; one whose weight is no number is none.
pub(crate) fn weighted(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = (&str, f32)> {
    of(headers, name).filter_map(|element| {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let mut parameters = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let weight = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        Some((name.trim(), weight.map_or(Some(1.0), |(_, weight)| weight.trim().parse().ok())?))
    })
}

/// What `known` has for the media type of `Accept` that is liked best, of equals the first. A weight of 0 says that it is
/// not acceptable.
pub(crate) fn accepted<T>(headers: &HeaderMap, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let ranges = weighted(headers, header::ACCEPT).filter(|(_, weight)| *weight > 0.0);
    let known = ranges.filter_map(|(range, weight)| Some((known(&essence(range))?, weight)));
    known.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(known, _)| known)
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> Cow<'_, str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
        essence.to_ascii_lowercase().into()
    } else {
        essence.into()
    }
}
