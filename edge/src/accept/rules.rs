//! Requests that RFC 9110 and 9112 forbid and hyper lets pass.

use http::request::Parts;
use http::{Method, StatusCode, Version, header};
use tonic::Code;

use crate::config::Config;
use crate::rejection::Rejection;
use crate::websocket;

#[cfg(test)]
mod tests;

/// What any path may be asked with.
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// Refuses what is malformed or meant for another kind of server.
///
/// # Errors
/// 400, 405 or 414.
pub(crate) fn check(config: &Config, head: &Parts) -> Result<(), Rejection> {
    if head.method == Method::TRACE || (head.method == Method::CONNECT && !websocket::is_asked(head)) {
        return Err(Rejection::method_not_allowed(head.method.as_str(), METHODS));
    }
    let uri_bytes = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if uri_bytes > config.uri_bytes_max {
        let message = format!("the request target is longer than {} bytes", config.uri_bytes_max);
        return Err(Rejection::http(StatusCode::URI_TOO_LONG, Code::InvalidArgument, message));
    }
    if head.version == Version::HTTP_11 {
        check_host(head)?;
    }
    let mut encodings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        (Some(encoding), None) if encoding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(malformed("Transfer-Encoding may only be chunked")),
    }
}

/// RFC 9112 3.2: exactly one, and a valid authority.
fn check_host(head: &Parts) -> Result<(), Rejection> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(malformed("a request has exactly one Host header"));
    };
    // Empty is allowed, for targets without an authority.
    let valid = host.is_empty()
        || http::uri::Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'));
    if valid { Ok(()) } else { Err(malformed("the Host header is not a host")) }
}

fn malformed(message: &str) -> Rejection {
    Rejection::http(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}
