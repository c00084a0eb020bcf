//! The call to a backend: its deadline, its metadata, its answer as bytes.

pub(crate) mod bounded;
pub(crate) mod checked;
pub(crate) mod cuttable;
pub(crate) mod headers;
pub(crate) mod retry;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::HeaderMap;
use malla_runtime::auth::Caller;
use malla_runtime::call::Call;
use malla_runtime::codec::BytesCodec;
use malla_runtime::link;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Response, Status, Streaming};
use tower::ServiceExt as _;

use crate::decode::{Messages, Pieces};
use crate::load::Method;
use crate::rejection::Rejection;
use bounded::bounded;
use checked::checked;
use cuttable::cuttable;

#[cfg(test)]
mod tests;

/// How long an answer that can be opened before its backend has begun it waits for that: an error until then is its status.
const OPENED_AFTER: Duration = Duration::from_millis(200);

/// What a call is bound to besides its backend.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) message_bytes_max: usize,
    pub(crate) deadline: Instant,
    /// Cancelled when the edge drains: streams end then, or they would hold the process for as long as they like. `None`
    /// where the caller sees to that.
    pub(crate) closing: Option<CancellationToken>,
}

impl Bounds {
    /// A method's answer within them, for tonic to read.
    fn hold(self, method: &Method) -> impl FnOnce(http::Response<Body>) -> http::Response<Body> + Clone + use<> {
        let streams = method.server_streaming;
        move |response| {
            let response = checked(response, self.message_bytes_max);
            if !streams {
                return response;
            }
            response.map(|body| bounded(body, self.deadline, self.closing))
        }
    }
}

/// What a backend answered.
pub(crate) struct Reply {
    /// Its leading metadata.
    pub(crate) headers: HeaderMap,
    /// What came after a single message.
    pub(crate) trailers: HeaderMap,
    pub(crate) messages: Replied,
}

/// The messages of an answer.
pub(crate) enum Replied {
    One(Bytes),
    Stream(Replies),
}

/// The messages of a stream, as they come. Dropped, it breaks off what is still being sent.
pub(crate) struct Replies {
    stream: Begun,
    broken: Option<oneshot::Receiver<Rejection>>,
}

/// Whether the backend has begun to answer.
enum Begun {
    No(BoxFuture<'static, Result<Reply, Rejection>>),
    Yes(Box<Streaming<Bytes>>),
}

impl Replies {
    /// The next message; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// What the backend ended the stream with; what the client sent wrong, if that was the reason.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        if let Begun::No(calling) = &mut self.stream
            && let Replied::Stream(replies) = calling.await?.messages
        {
            *self = replies;
        }
        let Begun::Yes(stream) = &mut self.stream else { return Ok(None) };
        stream.message().await.map_err(|status| {
            let broken = self.broken.as_mut().and_then(|broken| broken.try_recv().ok());
            broken.unwrap_or_else(|| Rejection::of_call(status))
        })
    }

    /// What came after the last message, once that was the last.
    pub(crate) fn trailers(&mut self) -> HeaderMap {
        let Begun::Yes(stream) = &mut self.stream else { return HeaderMap::new() };
        let trailers = stream.trailers().now_or_never();
        trailers.and_then(Result::ok).flatten().unwrap_or_default().into_headers()
    }
}

/// When a call has to be over: after the method's longest time, or sooner if the client asks for that. What goes on by
/// itself does not outlive the token it was asked for with.
pub(crate) fn deadline(started: Instant, method: &Method, caller: &Caller, asked: Option<Duration>) -> Instant {
    let token = match caller {
        Caller::User(claims) if method.server_streaming => Some(claims.left()),
        _ => None,
    };
    started + [asked, token].into_iter().flatten().fold(method.deadline, Duration::min)
}

/// What a call says when its deadline has passed.
pub(crate) fn expired() -> Status {
    Status::deadline_exceeded("the deadline passed before the call ended")
}

/// What a client is told for a status of a call: what the backend sent, as it is. What broke the way to it is told in the
/// client's terms.
pub(crate) fn of_backend(status: Status) -> Status {
    if !link::is_lost(&status) || link::is_unreached(&status) {
        return status;
    }
    tracing::debug!(error = %status, "a call to a backend broke off");
    match status.code() {
        Code::Unavailable => Status::unavailable("the connection to the backend was lost"),
        code => Status::new(code, "the call to the backend was reset"),
    }
}

/// Calls a method; again, where that is safe, when a call with a single message either way fails. Dropping the future
/// cancels the call.
///
/// # Errors
/// What the backend answered instead; 504 when it did not answer in time; what broke an upload.
pub(crate) async fn call(
    method: &Method,
    bounds: Bounds,
    headers: HeaderMap,
    messages: Messages,
) -> Result<Reply, Rejection> {
    let deadline = bounds.deadline;
    let calling = async {
        match messages {
            Messages::One(message) => {
                let call = Call::new(Some(deadline), &headers);
                call.scope(single(method, bounds, MetadataMap::from_headers(headers), message)).await
            }
            Messages::Pieces(pieces) => streamed(method, bounds, MetadataMap::from_headers(headers), pieces).await,
        }
    };
    tokio::time::timeout_at(deadline, calling).await.unwrap_or_else(|_| Err(Rejection::backend(expired())))
}

/// As [`call`], for an answer that can be opened before its backend has begun it: many servers send nothing before their
/// first message. What it sends ahead of that is lost then, and an error is told within the answer.
///
/// # Errors
/// As [`call`], what comes soon.
pub(crate) async fn open(
    method: Arc<Method>,
    bounds: Bounds,
    headers: HeaderMap,
    messages: Messages,
) -> Result<Reply, Rejection> {
    let closing = bounds.closing.clone();
    let calling = async move {
        tokio::select! {
            reply = call(&method, bounds, headers, messages) => reply,
            Some(()) = OptionFuture::from(closing.as_ref().map(CancellationToken::cancelled)) => {
                Err(Rejection::of_call(bounded::End::Drain.into()))
            }
        }
    };
    let mut calling = calling.boxed();
    tokio::time::timeout(OPENED_AFTER, &mut calling).await.unwrap_or_else(|_| {
        let replies = Replies { stream: Begun::No(calling), broken: None };
        Ok(Reply { headers: HeaderMap::new(), trailers: HeaderMap::new(), messages: Replied::Stream(replies) })
    })
}

async fn single(method: &Method, bounds: Bounds, metadata: MetadataMap, message: Bytes) -> Result<Reply, Rejection> {
    let Bounds { message_bytes_max, deadline, .. } = bounds;
    let link = method.link.clone().map_response(bounds.hold(method));
    let mut client = Grpc::new(link).max_decoding_message_size(message_bytes_max);
    let request = || Request::from_parts(metadata.clone(), Extensions::default(), message.clone());
    if method.server_streaming {
        return stream(client.server_streaming(request(), method.path.clone(), BytesCodec).await);
    }
    method.retries.earn(Instant::now());
    let mut attempt = 1;
    loop {
        let outcome = client.server_streaming(request(), method.path.clone(), BytesCodec).and_then(one).await;
        let rejection = match outcome {
            Ok(reply) => return Ok(reply),
            Err(status) => Rejection::of_call(status),
        };
        match retry::pause(method, &rejection.status, attempt, deadline) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(rejection),
        }
        attempt += 1;
    }
}

async fn streamed(method: &Method, bounds: Bounds, metadata: MetadataMap, pieces: Pieces) -> Result<Reply, Rejection> {
    let Bounds { message_bytes_max, deadline, .. } = bounds;
    let Pieces { stream: messages, mut broken, cut } = pieces;
    let request = Request::from_parts(metadata, Extensions::default(), messages);
    let path = method.path.clone();
    let both_ways = method.server_streaming;
    let reply = cuttable(&method.link, cut, deadline, |link| {
        let link = link.map_response(bounds.hold(method));
        let mut client = Grpc::new(link).max_decoding_message_size(message_bytes_max);
        async move {
            match client.streaming(request, path, BytesCodec).await {
                Ok(response) if !both_ways => one(response).await.map_err(Rejection::of_call),
                outcome => stream(outcome),
            }
        }
    });
    let reply = reply.await;
    if let Ok(rejection) = broken.try_recv() {
        return Err(rejection);
    }
    let mut reply = reply?;
    if let Replied::Stream(replies) = &mut reply.messages {
        replies.broken = Some(broken);
    }
    Ok(reply)
}

/// A single message. tonic would put its trailers among its headers.
async fn one(response: Response<Streaming<Bytes>>) -> Result<Reply, Status> {
    let (metadata, mut stream, _) = response.into_parts();
    let headers = metadata.into_headers();
    let message = only(&mut stream).await.map_err(|mut status| {
        status.metadata_mut().as_mut().extend(headers.clone());
        status
    })?;
    let trailers = stream.trailers().await?.unwrap_or_default().into_headers();
    Ok(Reply { headers, trailers, messages: Replied::One(message) })
}

async fn only(stream: &mut Streaming<Bytes>) -> Result<Bytes, Status> {
    let message = stream.message().await?;
    let message = message.ok_or_else(|| Status::internal("the backend answered without a message"))?;
    match stream.message().await? {
        None => Ok(message),
        Some(_) => Err(Status::internal("the backend answered with more than one message")),
    }
}

fn stream(outcome: Result<Response<Streaming<Bytes>>, Status>) -> Result<Reply, Rejection> {
    let (metadata, stream, _) = outcome.map_err(Rejection::of_call)?.into_parts();
    let headers = metadata.into_headers();
    Ok(Reply {
        headers,
        trailers: HeaderMap::new(),
        messages: Replied::Stream(Replies { stream: Begun::Yes(Box::new(stream)), broken: None }),
    })
}
