//! Who calls, by the method's policy; and which of a client's headers are believed.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use malla_runtime::auth::{Authenticator, Caller};

use crate::load::Method;
use crate::protocol::Lane;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

/// Drops the headers that only the mesh itself may set, so that nobody passes for it. Over HTTP also names with `_`, which
/// some backends read as `-`; in gRPC's metadata they are common.
pub(crate) fn strip(headers: &mut HeaderMap, lane: Lane) {
    const PREFIXES: [&str; 4] = ["malla-", "x-forwarded-", "x-user-", "x-envoy-"];
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || (lane != Lane::Grpc && name.contains('_'))
        })
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
    headers.remove(header::FORWARDED);
}

/// Turns `Authorization: <token>` into `Authorization: Bearer <token>`, for clients that never learnt of schemes.
pub(crate) fn add_scheme(headers: &mut HeaderMap) {
    let Some(Ok(credentials)) = headers.get(header::AUTHORIZATION).map(HeaderValue::to_str) else { return };
    if credentials.trim().is_empty() || credentials.trim().contains(' ') {
        return;
    }
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", credentials.trim())) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

/// Tells who calls, or why the call is not let through. Backends check again; this keeps strangers from costing them
/// anything.
///
/// # Errors
/// 401, 403, or 503 while it cannot be known whether a token was revoked.
pub(crate) fn check(authenticator: &Authenticator, headers: &HeaderMap, method: &Method) -> Result<Caller, Rejection> {
    authenticator.authenticate(headers, method.access).map_err(Rejection::new)
}
