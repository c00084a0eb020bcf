//! CORS (Fetch standard, 3.3): what lets pages of other origins call, and read what they are answered.

use http::request::Parts;
use http::{HeaderValue, Method, header};

use crate::config::Cors;
use crate::encode::Answer;

#[cfg(test)]
mod tests;

/// A page of an origin whose pages may call.
#[derive(Debug)]
pub(crate) struct Page {
    origin: HeaderValue,
    /// The method of the call about which it asks first.
    pub(crate) preflight: Option<Method>,
}

impl Page {
    /// The page that a request comes from, if it may call.
    pub(crate) fn of(cors: &Cors, head: &Parts) -> Option<Self> {
        let origin = head.headers.get(header::ORIGIN)?;
        let asked = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| head.method == Method::OPTIONS);
        let preflight = asked.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        cors.allows(origin.to_str().ok()?).then(|| Self { origin: origin.clone(), preflight })
    }
}

/// Tells the page's browser what it may do; which methods that are, `Allow` says.
pub(crate) fn allow(cors: &Cors, page: Option<&Page>, answer: &mut Answer) {
    if cors.origins.is_empty() {
        return;
    }
    let headers = &mut answer.headers;
    let for_all = cors.origins.iter().any(|origin| origin == "*");
    if !for_all {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    let Some(page) = page else { return };
    let list = |names: &[String]| HeaderValue::try_from(names.join(", ")).ok().filter(|list| !list.is_empty());
    let origin = if for_all { HeaderValue::from_static("*") } else { page.origin.clone() };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if page.preflight.is_none() {
        headers.extend(list(&cors.exposed_headers).map(|list| (header::ACCESS_CONTROL_EXPOSE_HEADERS, list)));
        return;
    }
    let methods = headers.get(header::ALLOW).cloned();
    headers.extend(methods.map(|methods| (header::ACCESS_CONTROL_ALLOW_METHODS, methods)));
    headers.extend(list(&cors.headers).map(|list| (header::ACCESS_CONTROL_ALLOW_HEADERS, list)));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, cors.max_age_s.into());
}
