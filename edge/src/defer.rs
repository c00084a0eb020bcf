//! Calls that are accepted now and carried out later: where the contract allows it, when the backend cannot be reached
//! or the client asks for it (`Prefer: respond-async`, RFC 7240 4.1).
//!
//! Knows `google.longrunning.Operation`, which clients get in place of an answer; who keeps the call is a [`Deferral`].

use std::fmt::Debug;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use malla_runtime::auth::Caller;
use malla_runtime::call::Call;
use malla_runtime::link;
use malla_runtime::policy::Access;
use prost::Message as _;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::buffered::Buffered;
use crate::call::headers;
use crate::codec::JsonPlan;
use crate::decode::body::{BodyReader, Gathered};
use crate::edge::Shared;
use crate::encode::Answer;
use crate::key::KEY;
use crate::load::Method;
use crate::rejection::{Rejection, Source};

#[cfg(test)]
mod tests;

/// What stands for a call that is carried out later.
pub(crate) const OPERATION: &str = "google.longrunning.Operation";
/// Larger requests are not deferred.
const REQUEST_BYTES_MAX: usize = 256 << 10;
/// How long accepting a call may take.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(1);
/// When to look for the first time whether a call has been carried out, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: HeaderValue = HeaderValue::from_static("respond-async");
/// The length of a message in gRPC's framing, and its flag before it.
const FRAME_BYTES: usize = 5;

/// A call to be carried out later.
#[derive(Clone, Debug)]
pub struct Deferred {
    /// `pkg.Service/Method`.
    pub method: String,
    /// The encoded request.
    pub request: Bytes,
    /// Full name of the message the method answers with.
    pub response_type: String,
    /// Who calls: a user, or nobody that is known.
    pub caller: Caller,
    /// The client's `Idempotency-Key`, or one made here: a call with it happens once.
    pub key: String,
}

/// Who keeps calls for later.
pub trait Deferral: Debug + Send + Sync {
    /// Accepts a call, and gives an encoded `google.longrunning.Operation` for it. What was accepted is not lost.
    ///
    /// # Errors
    /// ALREADY_EXISTS, with the reason IDEMPOTENCY_KEY_REUSED, when the key is known with another request; any other when the call was not accepted.
    fn accept(&self, call: Deferred) -> BoxFuture<'_, Result<Bytes, Status>>;

    /// Where clients look what became of the operation of this name: a path, for `Location`. Default nowhere.
    fn location(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// How a call that could be deferred ended.
pub(crate) enum Outcome<T, A> {
    Answered(T),
    Deferred(A),
}

/// The offer to carry a call out later.
pub(crate) struct Offer<'e> {
    deferral: &'e dyn Deferral,
    call: Deferred,
    /// The request's, of which request id and trace are passed on.
    headers: &'e HeaderMap,
    /// The client would rather have it deferred.
    asked: bool,
}

impl<'e> Offer<'e> {
    /// Makes the offer, if this call can be deferred. It then gets a key, so that it happens once even if it is made
    /// now and, the answer being lost, again later.
    pub(crate) fn make(
        edge: &'e Shared,
        method: &Method,
        head: &'e Parts,
        caller: &Caller,
        message: Option<Bytes>,
        metadata: &mut HeaderMap,
    ) -> Option<Self> {
        let deferral = edge.deferral.as_ref().filter(|_| method.deferrable)?;
        let request = message.filter(|message| message.len() <= REQUEST_BYTES_MAX)?;
        let caller = match (caller, method.access) {
            // Nobody has looked at its credentials, but an operation is its caller's alone.
            (_, Access::Anyone) => edge.authenticator.authenticate(&head.headers, Access::OptionalUser).ok()?,
            (Caller::User(_) | Caller::Anonymous, _) => caller.clone(),
            _ => return None,
        };
        let given = metadata.get(KEY).and_then(|key| key.to_str().ok()).map(str::to_owned);
        let key = given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        metadata.insert(KEY, HeaderValue::from_str(&key).ok()?);
        let (method, response_type) = (method.name().to_owned(), method.response_type.clone());
        let call = Deferred { method, request, response_type, caller, key };
        let asked = headers::prefers_async(&head.headers);
        Some(Self { deferral: deferral.as_ref(), call, headers: &head.headers, asked })
    }

    async fn accept(self) -> Result<Accepted, Rejection> {
        let Self { deferral, call, headers, asked } = self;
        let key = call.key.clone();
        let deadline = Instant::now() + ACCEPT_TIMEOUT;
        let accepting = Call::new(Some(deadline), headers).scope(deferral.accept(call));
        let accepted = tokio::time::timeout_at(deadline, accepting).await;
        let accepted = accepted.unwrap_or_else(|_| Err(Status::unavailable("the call could not be accepted in time")));
        let operation = accepted.map_err(Rejection::backend)?;
        let name = Named::decode(operation.clone()).map_err(|_| unreadable())?.name;
        let location = deferral.location(&name);
        Ok(Accepted { operation, name, location, key, asked })
    }

    async fn instead_of<T>(
        self,
        calling: impl Future<Output = Result<T, Rejection>>,
    ) -> Result<Outcome<T, Accepted>, Rejection> {
        if self.asked {
            return self.accept().await.map(Outcome::Deferred);
        }
        match calling.await {
            // What was sent and not answered may have been carried out: only the first failure says so.
            Err(rejection) if rejection.source == Source::Way => match self.accept().await {
                Err(_) if !link::is_unreached(&rejection.status) => Err(rejection),
                accepted => accepted.map(Outcome::Deferred),
            },
            outcome => outcome.map(Outcome::Answered),
        }
    }
}

/// Makes a call, or has it accepted for later: when the client would rather have that, and when its backend was not
/// reached or lost with the answer.
///
/// # Errors
/// What the call failed with; what kept it from being accepted. With the key, which its client may not know yet and needs
/// to come again.
pub(crate) async fn instead_of<T>(
    offer: Option<Offer<'_>>,
    calling: impl Future<Output = Result<T, Rejection>>,
) -> Result<Outcome<T, Accepted>, Rejection> {
    let Some(offer) = offer else { return calling.await.map(Outcome::Answered) };
    let key = HeaderValue::from_str(&offer.call.key);
    offer.instead_of(calling).await.map_err(|mut rejection| {
        if let Ok(key) = key {
            rejection.set(KEY, key);
        }
        rejection
    })
}

/// A call that will be carried out later.
pub(crate) struct Accepted {
    operation: Bytes,
    name: String,
    location: Option<String>,
    key: String,
    asked: bool,
}

impl Accepted {
    /// 202, and where to look for the result. `plan` is of its route, which has one if it can be deferred.
    pub(crate) fn as_rest(&self, plan: Option<&JsonPlan>) -> Result<Answer, Rejection> {
        let Some(Ok(text)) = plan.map(|plan| plan.text(&self.operation)) else { return Err(unreadable()) };
        let mut answer = Answer::json(StatusCode::ACCEPTED, text);
        answer.headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        let location = self.location.as_deref().and_then(|location| HeaderValue::from_str(location).ok());
        answer.headers.extend(location.map(|location| (header::LOCATION, location)));
        self.describe(&mut answer.headers);
        Ok(answer)
    }

    /// The operation in place of the response, for clients that asked for it. A generated client that did not could
    /// not decode it: for it the call has failed, with the operation among the details and word not to send it again.
    pub(crate) fn as_grpc(&self) -> Result<Answer, Rejection> {
        let mut headers = HeaderMap::new();
        self.describe(&mut headers);
        if !self.asked {
            let type_url = format!("type.googleapis.com/{OPERATION}");
            let any = prost_types::Any { type_url, value: self.operation.to_vec() };
            let message = format!("the call was accepted as {}; do not send it again", self.name);
            let code = Code::FailedPrecondition;
            let details = pb::Status { code: code.into(), message: message.clone(), details: vec![any] };
            headers.insert("grpc-retry-pushback-ms", HeaderValue::from_static("-1"));
            let metadata = MetadataMap::from_headers(headers);
            let details = details.encode_to_vec().into();
            return Err(Rejection::new(Status::with_details_and_metadata(code, message, details, metadata)));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let mut framed = BytesMut::with_capacity(FRAME_BYTES + self.operation.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(self.operation.len()).map_err(|_| unreadable())?);
        framed.put_slice(&self.operation);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames = [Ok::<_, Status>(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        Ok(Answer { status: StatusCode::OK, headers, body })
    }

    fn describe(&self, headers: &mut HeaderMap) {
        headers.extend(HeaderValue::from_str(&self.key).ok().map(|key| (KEY, key)));
        headers.extend(self.asked.then_some((APPLIED, RESPOND_ASYNC)));
    }
}

/// Reads the message of a gRPC call, so that one that is slow to come occupies nobody but its client, and can be deferred;
/// leaves streams of them alone. Compressed messages and those that are too large for later are passed on, but not offered.
///
/// # Errors
/// 408, what broke the request off, and when too much is held.
pub(crate) async fn read_whole(
    edge: &Shared,
    method: &Method,
    body: Body,
    deadline: Instant,
    buffered: &Buffered,
) -> Result<(Option<Bytes>, Body), Rejection> {
    if method.client_streaming {
        return Ok((None, body));
    }
    let reader = BodyReader::new(body, u64::MAX, edge.config.body_idle_timeout(), buffered)?;
    let mut gathered = Gathered::new(reader);
    let reading = gathered.piece(FRAME_BYTES + REQUEST_BYTES_MAX + 1, usize::MAX);
    let read = tokio::time::timeout_at(deadline, reading).await.map_err(|_| Rejection::too_slow())??;
    let read = read.unwrap_or_default();
    if read.len() > FRAME_BYTES + REQUEST_BYTES_MAX {
        let begun = stream::iter([Ok(Frame::data(read))]);
        return Ok((None, Body::new(StreamBody::new(begun.chain(gathered.rest())))));
    }
    let message = match read.split_first_chunk::<FRAME_BYTES>() {
        Some(([0, length @ ..], rest)) if u32::from_be_bytes(*length) as usize == rest.len() => {
            Some(read.slice(FRAME_BYTES..))
        }
        _ => None,
    };
    Ok((message, Body::new(Full::new(read))))
}

/// The field of an operation the edge looks at.
#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

fn unreadable() -> Rejection {
    tracing::error!("what stands for a deferred call is no {OPERATION}");
    Rejection::backend(Status::internal("internal error"))
}
