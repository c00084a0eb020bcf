//! Which headers cross the edge, in both directions.

use std::net::SocketAddr;
use std::time::Duration;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use malla_runtime::call::timeout;
use malla_runtime::client::FORWARDED_FOR;

use crate::elements;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

/// Of one connection, not of the message (RFC 9110 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];
/// About HTTP's own representation, or the browser's, and nothing to a gRPC backend.
const HTTP_ONLY: [&str; 11] =
    ["host", "te", "trailer", "expect", "cookie", "origin", "referer", "range", "prefer", "date", "x-server-timeout"];
const HTTP_ONLY_PREFIXES: [&str; 8] =
    ["content-", "accept", "grpc-", "connect-", "if-", "sec-", "access-control-", "upgrade-"];
/// How a backend chooses the HTTP status of its answer, in its metadata; grpc-gateway's name for it.
const HTTP_CODE: &str = "x-http-code";

/// gRPC's binary values may come with padding and are sent on without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A REST request's headers as metadata of its call.
///
/// # Errors
/// 400 for values that gRPC has no place for: other than visible ASCII, or than base64 under a name that ends in `-bin`.
pub(crate) fn to_metadata(received: &HeaderMap, peer: Option<SocketAddr>) -> Result<HeaderMap, Rejection> {
    let named = named_by_connection(received);
    let mut metadata = HeaderMap::with_capacity(received.len());
    for (name, value) in received {
        let text = name.as_str();
        if is_hop_by_hop(text, &named) || is_http_only(text) {
            continue;
        }
        let ascii = value.to_str().map_err(|_| Rejection::field(text, "must be visible ASCII"))?;
        if !text.ends_with("-bin") {
            metadata.append(name, value.clone());
            continue;
        }
        for value in ascii.split(',') {
            let binary = BASE64.decode(value.trim()).ok().and_then(|bytes| BASE64.encode(bytes).try_into().ok());
            metadata.append(name, binary.ok_or_else(|| Rejection::field(text, "must be base64"))?);
        }
    }
    forwarded_for(&mut metadata, peer);
    Ok(metadata)
}

/// A gRPC request's headers, for the next hop.
pub(crate) fn pass(received: &HeaderMap, peer: Option<SocketAddr>) -> HeaderMap {
    let named = named_by_connection(received);
    let mut headers = HeaderMap::with_capacity(received.len());
    for (name, value) in received {
        if !is_hop_by_hop(name.as_str(), &named) && name != header::HOST && name != header::CONTENT_LENGTH {
            headers.append(name, value.clone());
        }
    }
    forwarded_for(&mut headers, peer);
    headers
}

/// A backend's metadata as headers of the answer. What HTTP needs is set by the edge; nothing of gRPC leaks.
pub(crate) fn from_metadata(metadata: &HeaderMap, headers: &mut HeaderMap) {
    let named = named_by_connection(metadata);
    for (name, value) in metadata.iter().filter(|(name, _)| is_sent_back(name.as_str(), &named)) {
        headers.append(name, value.clone());
    }
}

/// Announces the trailers that a backend announces in its metadata: HTTP/1.1 has no place for any others (RFC 9110 6.6.2).
pub(crate) fn announce(metadata: &HeaderMap, headers: &mut HeaderMap) {
    let named = named_by_connection(metadata);
    let names = elements::of(metadata, header::TRAILER).filter_map(|name| name.parse::<HeaderName>().ok());
    for name in names.filter(|name| is_sent_back(name.as_str(), &named)) {
        headers.append(header::TRAILER, name.into());
    }
}

fn is_sent_back(name: &str, named: &[String]) -> bool {
    const OWN: [&str; 9] = [
        "content-type",
        "content-length",
        "content-encoding",
        "date",
        "server",
        "te",
        "trailer",
        "x-request-id",
        HTTP_CODE,
    ];
    let internal = name.starts_with("grpc-") || name.starts_with("malla-");
    !internal && !OWN.contains(&name) && !is_hop_by_hop(name, named)
}

/// The HTTP status that a backend's metadata asks for: 200 to 599, anything else is as good as none.
pub(crate) fn status(metadata: &HeaderMap) -> Option<StatusCode> {
    let code = metadata.get(HTTP_CODE)?.to_str().ok()?.parse().ok()?;
    StatusCode::from_u16(code).ok().filter(|status| (200..600).contains(&status.as_u16()))
}

/// Whether the client takes trailers (RFC 9110 10.1.4).
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    elements::of(headers, header::TE).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// How long a REST client is willing to wait, by whichever header says the least: `grpc-timeout`, `Connect-Timeout-Ms`,
/// `X-Server-Timeout` in seconds, `Prefer: wait=`. What is no number is as good as none.
pub(crate) fn asked_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let connect = text("connect-timeout-ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    let server = text("x-server-timeout").and_then(|seconds| seconds.parse().ok());
    let server = server.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    [timeout(headers), connect, server, preferred_wait(headers)].into_iter().flatten().min()
}

/// `Prefer: wait=10` (RFC 7240 4.3): how many seconds the client is willing to wait. Used as a deadline, and so only
/// ever shortens a method's own. Of several the first counts (section 2); one that is no number is as good as none.
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = preference(headers, "wait")?;
    seconds.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

/// `Prefer: respond-async` (RFC 7240 4.1): the client would rather have the call accepted than wait for its end.
pub(crate) fn prefers_async(headers: &HeaderMap) -> bool {
    preference(headers, "respond-async").is_some()
}

/// The value of a preference, empty when it has none.
fn preference<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut preferences = elements::of(headers, "prefer").map(|preference| {
        // What follows a semicolon are parameters of this one preference.
        let preference = preference.split(';').next().unwrap_or_default();
        preference.split_once('=').unwrap_or((preference, ""))
    });
    preferences.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn is_hop_by_hop(name: &str, named: &[String]) -> bool {
    HOP_BY_HOP.contains(&name) || named.iter().any(|named| named == name)
}

fn is_http_only(name: &str) -> bool {
    HTTP_ONLY.contains(&name) || HTTP_ONLY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    elements::of(headers, header::CONNECTION).map(str::to_ascii_lowercase).collect()
}

fn forwarded_for(headers: &mut HeaderMap, peer: Option<SocketAddr>) {
    if let Some(value) = peer.and_then(|peer| HeaderValue::from_str(&peer.ip().to_string()).ok()) {
        headers.insert(FORWARDED_FOR, value);
    }
}
