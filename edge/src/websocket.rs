//! WebSocket (RFC 6455, and over HTTP/2 RFC 8441) for methods that stream: the same paths, one JSON message a frame.
//!
//! The path, and the query as far as the binding has one, are the first message's. Where the rule of the path has no
//! body they are all of it, and it is sent at once. An empty text frame says that the client has no more messages. Raw
//! bodies (`google.api.HttpBody`) are binary frames. A call that fails ends with an `{"error": ...}` frame and closes
//! with 4000 and the gRPC code; see [`session`] for the other codes. Browsers, which cannot set `Authorization`, offer
//! the subprotocols `json` and `bearer.<token>`.

mod session;

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use malla_runtime::auth::Caller;
use malla_transcode::table::Rule;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tonic::{Code, Status};
use tracing::Instrument as _;

use crate::accept::Sessions;
use crate::call::{self, headers};
use crate::codec::Input;
use crate::config::Config;
use crate::decode::Sequence;
use crate::edge::Shared;
use crate::elements;
use crate::encode::Answer;
use crate::load::Binding;
use crate::record::Record;
use crate::rejection::Rejection;
use crate::route::{self, Route};
use session::Session;

#[cfg(test)]
mod tests;

const WEBSOCKET: &str = "websocket";
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// The subprotocol that is spoken. It says nothing, but browsers want one of theirs to be chosen.
const JSON: &str = "json";
const BEARER: &str = "bearer.";

/// A request to speak WebSocket, and where it goes.
pub(crate) struct Found<'e> {
    upgrade: OnUpgrade,
    /// For which it stands.
    pub(crate) http_method: Method,
    pub(crate) rule: &'e Rule<Binding>,
    variables: Vec<String>,
}

/// Whether a request asks for a WebSocket: an upgrade of HTTP/1.1, or an extended CONNECT of HTTP/2.
pub(crate) fn is_asked(head: &Parts) -> bool {
    if head.method == Method::CONNECT {
        return head.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == WEBSOCKET);
    }
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && elements::of(&head.headers, header::UPGRADE).any(|name| name.eq_ignore_ascii_case(WEBSOCKET))
        && elements::of(&head.headers, header::CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// Takes the token of a client that can put it nowhere but among the subprotocols.
pub(crate) fn take_credentials(head: &mut Parts) {
    if !is_asked(head) || head.headers.contains_key(header::AUTHORIZATION) {
        return;
    }
    let token = elements::of(&head.headers, header::SEC_WEBSOCKET_PROTOCOL).find_map(|name| name.strip_prefix(BEARER));
    if let Some(Ok(mut value)) = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))) {
        value.set_sensitive(true);
        head.headers.insert(header::AUTHORIZATION, value);
    }
}

/// Finds the streaming method that is meant: of GET, or else of POST on the same path. `None` for whatever is to be
/// answered as if it had not asked.
///
/// # Errors
/// 501 over HTTP/2, which has no such answer, and where the server around the edge keeps its connections to itself.
pub(crate) fn find<'e>(edge: &'e Shared, head: &Parts) -> Result<Option<Found<'e>>, Rejection> {
    if !is_asked(head) {
        return Ok(None);
    }
    for http_method in [Method::GET, Method::POST] {
        let found = route::find(&edge.table, &http_method, &head.uri, edge.config.trailing_slash, edge.keep);
        if let Ok(Route::To { rule, variables }) = found {
            let method = &rule.value.method;
            if method.client_streaming || method.server_streaming {
                let message = "the server that the edge is mounted in hands no connection over: no WebSocket is spoken";
                let upgrade = head.extensions.get::<OnUpgrade>().cloned();
                let upgrade = upgrade.ok_or_else(|| Rejection::new(Status::unimplemented(message)))?;
                return Ok(Some(Found { upgrade, http_method, rule, variables }));
            }
        }
    }
    if head.method == Method::CONNECT {
        let message = format!("there is no stream at {}", head.uri.path());
        return Err(Rejection::new(Status::unimplemented(message)));
    }
    Ok(None)
}

/// Accepts the WebSocket. The call is made in a session of its own, which keeps the request's place and writes its
/// record when it is over.
///
/// # Errors
/// 403 for an origin that is not allowed, 400 and 426 for a handshake that is none.
pub(crate) fn answer(
    edge: &Shared,
    head: &Parts,
    found: Found<'_>,
    caller: &Caller,
    metadata: HeaderMap,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    check_origin(&edge.config, head)?;
    let answer = handshake(head)?;
    let Found { upgrade, rule, variables, .. } = found;
    let Binding { method, request, response, errors, .. } = &rule.value;
    let input = Input { variables: &variables, query: head.uri.query().unwrap_or_default() };
    let session = Session {
        deadline: call::deadline(record.started, method, caller, headers::asked_timeout(&head.headers)),
        metadata,
        sequence: Sequence::new(request, input),
        method: method.clone(),
        request: request.clone(),
        response: response.clone(),
        errors: errors.clone(),
        closing: edge.closing.clone(),
        ping: Duration::from_millis(edge.config.websocket_ping_ms),
        frame_bytes_max: usize::try_from(edge.config.body_bytes_max).unwrap_or(usize::MAX),
        message_bytes_max: edge.config.message_bytes_max,
        upload_bytes_max: edge.config.upload_bytes_max,
        buffered: edge.buffered.begin(head),
    };
    let (give, taken) = oneshot::channel();
    record.hand_over(give);
    let running = async move {
        let Ok(record) = taken.await else { return };
        match upgrade.await {
            Ok(socket) => session.run(TokioIo::new(socket), record).await,
            Err(error) => tracing::debug!(%error, "a WebSocket was not begun"),
        }
    };
    let running = running.instrument(record.span.clone());
    match head.extensions.get::<Sessions>() {
        Some(sessions) => sessions.spawn(running),
        // In someone else's server nobody waits for it.
        None => drop(tokio::spawn(running)),
    }
    Ok(answer)
}

fn handshake(head: &Parts) -> Result<Answer, Rejection> {
    if head.headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let message = "WebSocket is spoken in version 13";
        let mut rejection = Rejection::http(StatusCode::UPGRADE_REQUIRED, Code::InvalidArgument, message);
        rejection.headers.push((header::SEC_WEBSOCKET_VERSION, VERSION));
        return Err(rejection);
    }
    let mut answer = Answer::empty(StatusCode::OK);
    if elements::of(&head.headers, header::SEC_WEBSOCKET_PROTOCOL).any(|name| name == JSON) {
        answer.headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(JSON));
    }
    if head.method == Method::CONNECT {
        return Ok(answer);
    }
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| Rejection::field("Sec-WebSocket-Key", "must be 16 bytes in base64"))?;
    answer.status = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        answer.headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(answer)
}

/// Browsers send a page's credentials along whichever page it is, and only the origin tells which. What is no browser
/// sends none.
fn check_origin(config: &Config, head: &Parts) -> Result<(), Rejection> {
    let Some(origin) = head.headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let same = origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    let listed = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(origin);
    if same || config.websocket_origins.iter().any(listed) {
        return Ok(());
    }
    Err(Rejection::new(Status::permission_denied("pages of this origin may not connect; see edge.websocket_origins")))
}
