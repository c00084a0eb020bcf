//! Calls with an idempotency key (draft-ietf-httpapi-idempotency-key-header): carried out once, answered as often as
//! asked.
//!
//! [`Answers::around`] stands between a service's guard and its handlers. A call with a key first claims the key, in a
//! row of the service's own database. Its handler then runs as one transaction, into which the answer is written too:
//! effect and answer are there together or not at all. An error stores nothing, neither effect nor answer, and
//! gives the key back. A claim that its process did not live to end is free again after a minute.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use malla_runtime::auth::Caller;
use malla_runtime::status::invalid;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::Service;
use tracing::Instrument as _;

use crate::database::Scope;

mod answers;
pub mod fingerprint;
mod migration;

pub use answers::{Answers, KEPT_MS};
/// The metadata a key comes in.
pub use malla_runtime::auth::IDEMPOTENCY_KEY as KEY;
pub use migration::Migration;

use answers::{Attempt, Claim};

/// The metadata by which an answer given again is known: `true`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, in characters.
pub const KEY_CHARS_MAX: usize = 255;
/// Largest answer that is kept. A call with a larger one is refused as a whole.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// What tonic's servers read at most, and five bytes in front.
const REQUEST_BYTES_MAX: usize = (4 << 20) + 5;
/// When a call that is being carried out may have an answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const DOMAIN: &str = "malla";

/// The key of a call, if it has one.
///
/// # Errors
/// INVALID_ARGUMENT for one that is not 1 to 255 visible ASCII characters, and for several.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str().ok().filter(|key| is_key(key)) {
        Some(key) if values.next().is_none() => Ok(Some(key)),
        _ => Err(invalid(KEY.as_str(), "must be one key of 1 to 255 visible ASCII characters")),
    }
}

/// Whether a text may be a key: 1 to 255 visible ASCII characters.
#[must_use]
pub fn is_key(text: &str) -> bool {
    (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whose keys a call's key is among: another caller's same key is another key.
#[must_use]
pub fn owner(caller: Option<&Caller>) -> String {
    match caller {
        Some(Caller::User(claims)) => format!("user {}", claims.sub),
        Some(Caller::Operator) => "operator".into(),
        Some(Caller::Service) => "service".into(),
        Some(Caller::Anonymous) | None => String::new(),
    }
}

/// ALREADY_EXISTS: the key came before, with another request.
#[must_use]
pub fn reused(message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info("IDEMPOTENCY_KEY_REUSED", DOMAIN, HashMap::new());
    Status::with_error_details(Code::AlreadyExists, message, details)
}

/// ABORTED: a call with the key is being carried out.
fn in_use() -> Status {
    let mut details = ErrorDetails::with_error_info("IDEMPOTENCY_KEY_IN_USE", DOMAIN, HashMap::new());
    details.set_retry_info(Some(RETRY_AFTER));
    let message = "a call with this idempotency key is being carried out; try again for its answer";
    Status::with_error_details(Code::Aborted, message, details)
}

/// A service whose answers to calls with a key are kept.
#[derive(Clone, Debug)]
pub struct Keyed<S> {
    service: S,
    answers: Arc<Answers>,
}

impl Answers {
    /// Puts a generated server behind its kept answers.
    pub fn around<S>(self: &Arc<Self>, service: S) -> Keyed<S> {
        Keyed { service, answers: self.clone() }
    }
}

impl<S: NamedService> NamedService for Keyed<S> {
    const NAME: &'static str = S::NAME;
}

type Answering = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl<S> Service<Request<Body>> for Keyed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>,
    S: Clone + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !request.headers().contains_key(KEY) || !self.answers.keeps(request.uri().path()) {
            return self.service.call(request);
        }
        let (service, answers) = (self.service.clone(), self.answers.clone());
        Box::pin(async move { Ok(handle(service, answers, request).await.unwrap_or_else(Status::into_http)) })
    }
}

async fn handle<S>(mut service: S, answers: Arc<Answers>, request: Request<Body>) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>,
{
    let (parts, body) = request.into_parts();
    let key = key(&parts.headers)?.unwrap_or_default();
    // Of these only the last may have spaces.
    let id = format!("{} {key} {}", parts.uri.path(), owner(parts.extensions.get()));
    let message = read(body).await?;
    let scope = Scope::new(answers.connection());
    let claiming = {
        let message = message.clone();
        async move { answers.claim(id, &message).await.map_err(Status::from) }
    };
    let attempt = match whole(claiming).await? {
        Claim::Done(answer) => return Ok(replay(answer.into())),
        Claim::Mine(attempt) => attempt,
    };

    let request = Request::from_parts(parts, Body::new(Full::new(message)));
    let handling = async {
        let Ok(response) = service.call(request).await;
        let (parts, body) = response.into_parts();
        body.collect().await.map(|body| (parts, body))
    };
    let (parts, body) = scope.run(handling).await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    // An error without a message has its status among the headers.
    let status = Status::from_header_map(&parts.headers).or_else(|| Status::from_header_map(&trailers));
    let answer = body.to_bytes();
    let too_large = (answer.len() > ANSWER_BYTES_MAX).then(|| too_large(answer.len()));
    if let Some(status) = status.filter(|status| status.code() != Code::Ok).or(too_large) {
        drop(scope);
        attempt.give_up().await;
        return Err(status);
    }
    whole(end(attempt, scope, answer.clone())).await?;
    let body = Full::new(answer).with_trailers(ready(Some(Ok(trailers))));
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// Does something to its end, even if the caller leaves meanwhile: an attempt that nobody waits for any more gives its
/// key back, an answer is committed.
async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T, Status>> + Send + 'static) -> Result<T, Status> {
    let work = tokio::spawn(work.in_current_span());
    work.await.unwrap_or_else(|_panic| Err(Status::internal("internal error")))
}

/// Commits what a handler did together with its answer.
async fn end(attempt: Attempt, scope: Arc<Scope>, answer: Bytes) -> Result<(), Status> {
    let (transaction, afterwards) = scope.end().await.map_err(answers::Error::from)?;
    attempt.end(transaction, &answer).await?;
    for work in afterwards {
        work.await;
    }
    Ok(())
}

async fn read(body: Body) -> Result<Bytes, Status> {
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Status::out_of_range(format!("a request has at most {REQUEST_BYTES_MAX} bytes"));
        }
        Status::from_error(error)
    })
}

fn too_large(bytes: usize) -> Status {
    Status::failed_precondition(format!(
        "nothing was done: the answer has {bytes} bytes, and at most {ANSWER_BYTES_MAX} are kept with an idempotency \
         key; ask for less, or call without a key"
    ))
}

fn replay(answer: Bytes) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(Body::new(Full::new(answer).with_trailers(ready(Some(Ok(trailers))))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests;
