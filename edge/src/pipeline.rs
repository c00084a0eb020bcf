//! The stages of a request, in order. Only this module knows the order; each stage takes the value before it and
//! returns the next, or a [`Rejection`].

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use malla_runtime::auth::Caller;
use malla_runtime::call::{self as deadlines, REQUEST_ID};
use malla_runtime::telemetry;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tracing::{Instrument as _, Span, field};

use crate::accept::{self, Peer};
use crate::call::{self, Bounds, headers};
use crate::coding;
use crate::cors::Page;
use crate::decode::{Messages, decode};
use crate::defer::{self, Offer, Outcome};
use crate::edge::Shared;
use crate::encode::{self, Answer, Terms, encode};
use crate::key::{self, KEY, Key};
use crate::limit::Limit;
use crate::load::Binding;
use crate::protocol::{Lane, lane};
use crate::record::{Record, known_method};
use crate::rejection::Rejection;
use crate::respond::respond;
use crate::route::{self, Route};
use crate::websocket::Found;
use crate::{authenticate, grpc, own, pages, websocket};

#[cfg(test)]
mod tests;

/// Longest request id taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Longer answers count among what is buffered until their clients have taken them. Those of calls that change something
/// are hardly ever longer, and what was done is not to be refused.
const ANSWER_BYTES_FREE: u64 = 64 << 10;

/// What a request was let in with.
struct Admitted {
    caller: Caller,
    key: Option<Key>,
    deadline: Instant,
}

/// Answers one request.
pub(crate) async fn handle(edge: &Arc<Shared>, request: Request<Body>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let lane = lane(&head);
    let request_id = identify(&mut head);
    let coding = coding::accepted(&head.headers);
    let page = Page::of(&edge.config.cors, &head);
    let span = span(&head, lane);
    let mut record = Record::new(&head, lane, request_id, span.clone(), edge.metrics.clone());
    let answering = AssertUnwindSafe(answer(edge, lane, head, body, page.as_ref(), &mut record));
    let answering = answering.catch_unwind().instrument(span);
    let outcome = answering.await.unwrap_or_else(|_panic| {
        tracing::error!("the edge panicked while answering a request");
        Err(Rejection::new(Status::internal("internal error")))
    });
    respond(edge, lane, coding, page.as_ref(), outcome, record)
}

async fn answer(
    edge: &Arc<Shared>,
    lane: Lane,
    mut head: Parts,
    body: Body,
    page: Option<&Page>,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    accept::check(&edge.config, &head).map_err(|rejection| rejection.closing(head.version))?;
    authenticate::strip(&mut head.headers, lane);
    websocket::take_credentials(&mut head);
    if edge.config.schemeless_authorization {
        authenticate::add_scheme(&mut head.headers);
    }
    match lane {
        Lane::Page => {
            record.matched(pages::route(head.uri.path()), "");
            enter_own(edge.own_places.of_pages(), &head, record)?;
            pages::answer(edge, &head).await
        }
        Lane::Rest => rest(edge, &head, body, page, record).await,
        Lane::Grpc => passed(edge, &head, body, record).await,
    }
}

/// REST: HTTP and JSON on this side, gRPC on the other.
async fn rest(
    edge: &Shared,
    head: &Parts,
    body: Body,
    page: Option<&Page>,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    // The browser asks, not the page: whoever is bound to any method is not meant.
    if let Some(asked) = page.and_then(|page| page.preflight.as_ref()) {
        let allow = route::allowed(&edge.table, asked, &head.uri, edge.config.trailing_slash);
        return allow.map(|allow| pages::options(&allow)).map_err(|refusal| edge.missing(refusal));
    }
    if let Some(found) = websocket::find(edge, head).map_err(|refusal| edge.missing(refusal))? {
        let Binding { method, errors, .. } = &found.rule.value;
        record.matched(&found.rule.template.text, method.name());
        return opened(edge, head, found, record).map_err(|rejection| rejection.written(errors));
    }
    let found = route::find(&edge.table, &head.method, &head.uri, edge.config.trailing_slash, edge.keep);
    let (rule, variables) = match found.map_err(|refusal| edge.missing(refusal))? {
        Route::To { rule, variables } => (rule, variables),
        Route::Options { allow } => return Ok(pages::options(&allow)),
    };
    let binding = &rule.value;
    record.matched(&rule.template.text, binding.method.name());
    let answer = routed(edge, head, body, binding, &variables, record).await;
    answer.map_err(|rejection| rejection.written(&binding.errors))
}

/// The way of a WebSocket that has found its route.
fn opened(edge: &Shared, head: &Parts, found: Found<'_>, record: &mut Record) -> Result<Answer, Rejection> {
    let method = &found.rule.value.method;
    let caller = authenticate::check(&edge.authenticator, &head.headers, method)?;
    let key = key::find(&found.http_method, &head.headers, method)?;
    enter_of_client(head, record)?;
    record.hold(edge.limit.enter()?);
    let mut metadata = headers::to_metadata(&head.headers, peer(head))?;
    Key::pass(key.as_ref(), &mut metadata);
    Key::tell(key, websocket::answer(edge, head, found, &caller, metadata, record))
}

/// The way of a request that has found its route.
async fn routed(
    edge: &Shared,
    head: &Parts,
    body: Body,
    binding: &Binding,
    variables: &[String],
    record: &mut Record,
) -> Result<Answer, Rejection> {
    let method = &binding.method;
    let caller = authenticate::check(&edge.authenticator, &head.headers, method)?;
    let key = key::find(&head.method, &head.headers, method)?;
    enter_of_client(head, record)?;
    let deadline = call::deadline(record.started, method, &caller, headers::asked_timeout(&head.headers));
    record.ends_by(deadline);
    let admitted = Admitted { caller, key, deadline };
    let outcome = transcoded(edge, head, body, binding, variables, &admitted, record).await;
    Key::tell(admitted.key, outcome)
}

async fn transcoded(
    edge: &Shared,
    head: &Parts,
    body: Body,
    binding: &Binding,
    variables: &[String],
    Admitted { caller, key, deadline }: &Admitted,
    record: &mut Record,
) -> Result<Answer, Rejection> {
    let (method, deadline) = (&binding.method, *deadline);
    let buffered = edge.buffered.begin(head);
    let decoding = decode(&edge.config, head, body, binding, variables, &buffered);
    let messages = tokio::time::timeout_at(deadline, decoding).await;
    let messages = messages.map_err(|_| Rejection::too_slow())??;
    record.hold(edge.limit.enter()?);
    let mut metadata = headers::to_metadata(&head.headers, peer(head))?;
    Key::pass(key.as_ref(), &mut metadata);
    let message = if let Messages::One(message) = &messages { Some(message.clone()) } else { None };
    let offer = Offer::make(edge, method, head, caller, message, &mut metadata);
    let closing = Some(edge.closing.clone());
    let bounds = Bounds { message_bytes_max: edge.config.message_bytes_max, deadline, closing };
    let reply = if encode::beats(binding, head) {
        call::open(method.clone(), bounds, metadata, messages).await?
    } else {
        match defer::instead_of(offer, call::call(method, bounds, metadata, messages)).await? {
            Outcome::Answered(reply) => reply,
            Outcome::Deferred(accepted) => return accepted.as_rest(binding.operation.as_ref()),
        }
    };
    let terms = Terms {
        heartbeat: Duration::from_millis(edge.config.sse_heartbeat_ms),
        errors: binding.errors.clone(),
        failed: record.failed(),
        trailers: headers::takes_trailers(&head.headers),
    };
    let answer = encode(binding, head, reply, terms).await?;
    // Streams are not gathered, and have no length.
    if let Some(bytes) = answer.body.size_hint().exact().filter(|bytes| *bytes > ANSWER_BYTES_FREE) {
        let held = edge.buffered.begin(head);
        held.add(bytes)?;
        record.hold_answer(held);
    }
    Ok(answer)
}

/// gRPC on both sides.
async fn passed(edge: &Shared, head: &Parts, body: Body, record: &mut Record) -> Result<Answer, Rejection> {
    // Over HTTP/1 the trailers would be lost, and with them every error.
    if head.version < Version::HTTP_2 {
        return Err(Rejection::new(Status::unimplemented("gRPC needs HTTP/2")));
    }
    let path = head.uri.path();
    if let Some(own) = own::Method::find(path) {
        record.matched(own.path, own.path.trim_start_matches('/'));
        enter_own(edge.own_places.of(own), head, record)?;
        let deadline = edge.config.deadline(own.streams);
        let deadline = record.started + deadlines::timeout(&head.headers).map_or(deadline, |asked| asked.min(deadline));
        record.ends_by(deadline);
        return edge.own.answer(Request::from_parts(head.clone(), body), deadline, edge.closing.clone()).await;
    }
    let unknown = || Rejection::new(Status::unimplemented(format!("there is no method {path}")));
    let method = edge.methods.get(path).ok_or_else(|| edge.missing(unknown()))?;
    record.matched(path, method.name());
    let caller = authenticate::check(&edge.authenticator, &head.headers, method)?;
    enter_of_client(head, record)?;
    let deadline = call::deadline(record.started, method, &caller, deadlines::timeout(&head.headers));
    record.ends_by(deadline);
    let mut headers = headers::pass(&head.headers, peer(head));
    let buffered = edge.buffered.begin(head);
    let (message, body) = defer::read_whole(edge, method, body, deadline, &buffered).await?;
    record.hold(edge.limit.enter()?);
    let offer = Offer::make(edge, method, head, &caller, message, &mut headers);
    let made = headers.get(KEY).filter(|_| !head.headers.contains_key(KEY)).cloned();
    let calling = grpc::pass(method, head, headers, body, deadline, edge.closing.clone());
    match defer::instead_of(offer, calling).await? {
        Outcome::Answered(mut answer) => {
            // Whether it is an error only its end says, so it is told in any case.
            answer.headers.extend(made.map(|key| (KEY, key)));
            Ok(answer)
        }
        Outcome::Deferred(accepted) => accepted.as_grpc(),
    }
}

/// Takes a place for a call among its client's. That among all it gets once its message is there: else few clients that
/// send none could take them all.
fn enter_of_client(head: &Parts, record: &mut Record) -> Result<(), Rejection> {
    if let Some(peer) = head.extensions.get::<Peer>() {
        record.hold(peer.places.calls.enter_of_client()?);
    }
    Ok(())
}

/// Takes both places for what the edge answers itself.
fn enter_own(places: &Limit, head: &Parts, record: &mut Record) -> Result<(), Rejection> {
    if let Some(peer) = head.extensions.get::<Peer>() {
        record.hold(peer.places.own.enter_of_client()?);
    }
    record.hold(places.enter()?);
    Ok(())
}

fn peer(head: &Parts) -> Option<SocketAddr> {
    head.extensions.get::<Peer>().map(|peer| peer.address)
}

/// The request's id: the client's if it can be one, else a new one; the backend gets it too.
fn identify(head: &mut Parts) -> String {
    let given =
        head.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        });
    let id = given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
    if let Ok(value) = HeaderValue::from_str(&id) {
        head.headers.insert(REQUEST_ID, value);
    }
    id
}

fn span(head: &Parts, lane: Lane) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = field::Empty,
        otel.kind = "server",
        http.request.method = known_method(head.method.as_str()),
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        rpc.method = field::Empty,
        lane = lane.name(),
    );
    telemetry::set_parent(&span, &head.headers);
    span
}
