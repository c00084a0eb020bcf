//! Which headers cross the edge, in both directions.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

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
const HTTP_ONLY: [&str; 10] =
    ["host", "te", "trailer", "expect", "cookie", "origin", "referer", "range", "prefer", "date"];
const HTTP_ONLY_PREFIXES: [&str; 7] = ["content-", "accept", "grpc-", "if-", "sec-", "access-control-", "upgrade-"];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A REST request's headers as metadata of its call.
pub(crate) fn to_metadata(received: &HeaderMap, peer: Option<SocketAddr>) -> HeaderMap {
    let named = named_by_connection(received);
    let mut metadata = HeaderMap::with_capacity(received.len());
    for (name, value) in received {
        let text = name.as_str();
        if !is_hop_by_hop(text, &named) && !is_http_only(text) {
            metadata.append(name, value.clone());
        }
    }
    forwarded_for(&mut metadata, peer);
    metadata
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
    const OWN: [&str; 8] =
        ["content-type", "content-length", "content-encoding", "date", "server", "te", "trailer", "x-request-id"];
    let named = named_by_connection(metadata);
    for (name, value) in metadata {
        let text = name.as_str();
        let internal = text.starts_with("grpc-") || text.starts_with("malla-");
        if !internal && !OWN.contains(&text) && !is_hop_by_hop(text, &named) {
            headers.append(name, value.clone());
        }
    }
}

/// `Prefer: wait=10` (RFC 7240 4.3): how many seconds the client is willing to wait. Used as a deadline, and so only
/// ever shortens a method's own. Of several the first counts (section 2); one that is no number is as good as none.
pub(crate) fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(',')).filter_map(|preference| {
        // What follows a semicolon are parameters of this one preference.
        preference.split(';').next()?.split_once('=')
    });
    let (_, seconds) = preferences.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    seconds.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

fn is_hop_by_hop(name: &str, named: &[String]) -> bool {
    HOP_BY_HOP.contains(&name) || named.iter().any(|named| named == name)
}

fn is_http_only(name: &str) -> bool {
    HTTP_ONLY.contains(&name) || HTTP_ONLY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn forwarded_for(headers: &mut HeaderMap, peer: Option<SocketAddr>) {
    if let Some(value) = peer.and_then(|peer| HeaderValue::from_str(&peer.ip().to_string()).ok()) {
        headers.insert(FORWARDED_FOR, value);
    }
}
