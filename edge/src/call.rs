//! The call to a backend: its deadline, its metadata, its answer as bytes.

mod codec;
mod cuttable;
pub(crate) mod headers;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use malla_runtime::call::Call;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::decode::{Messages, Pieces};
use crate::load::Method;
use crate::rejection::Rejection;
use cuttable::Cuttable;

pub(crate) use codec::BytesCodec;

#[cfg(test)]
mod tests;

/// What a backend answered.
pub(crate) struct Reply {
    /// Its metadata; for a single message its trailers too.
    pub(crate) headers: HeaderMap,
    pub(crate) messages: Replied,
}

/// The messages of an answer.
pub(crate) enum Replied {
    One(Bytes),
    Stream(Box<Streaming<Bytes>>),
}

/// When a call has to be over: the method's longest time, or what the client asks for if that is sooner.
pub(crate) fn deadline(started: Instant, method: &Method, asked: Option<Duration>) -> Instant {
    started + asked.map_or(method.deadline, |asked| asked.min(method.deadline))
}

/// What a call says when its deadline has passed.
pub(crate) fn expired() -> Status {
    Status::deadline_exceeded("the deadline passed before the call ended")
}

/// How tonic, with a code that would blame the client, says that a message is over the limit it was given.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// What a client is told for a status of a call: what the backend sent, as it is. What no backend sent has other codes
/// here than tonic gives it: UNAVAILABLE for whatever broke the connection, INTERNAL for an answer over the limit.
pub(crate) fn of_backend(status: Status) -> Status {
    if status.code() == Code::OutOfRange && status.message().starts_with(TOO_LARGE) {
        tracing::error!(error = status.message(), "an answer is larger than edge.message_bytes_max");
        return Status::internal("the backend's answer is too large");
    }
    if status.source().is_none() {
        return status;
    }
    tracing::debug!(error = %status, "the connection to a backend broke");
    Status::unavailable("the connection to the backend was lost")
}

/// Calls a method. Dropping the future cancels the call.
///
/// # Errors
/// What the backend answered instead; 504 when it did not answer in time; what broke an upload.
pub(crate) async fn call(
    method: &Method,
    message_bytes_max: usize,
    headers: HeaderMap,
    deadline: Instant,
    messages: Messages,
) -> Result<Reply, Rejection> {
    let call = Call::new(Some(deadline), &headers);
    let metadata = MetadataMap::from_headers(headers);
    let calling = async {
        match messages {
            Messages::One(message) => call.scope(single(method, message_bytes_max, metadata, message)).await,
            Messages::Pieces(pieces) => upload(method, message_bytes_max, metadata, pieces, call).await,
        }
    };
    tokio::time::timeout_at(deadline, calling).await.unwrap_or_else(|_| Err(Rejection::backend(expired())))
}

async fn single(
    method: &Method,
    message_bytes_max: usize,
    metadata: MetadataMap,
    message: Bytes,
) -> Result<Reply, Rejection> {
    let mut client = Grpc::new(method.link.clone()).max_decoding_message_size(message_bytes_max);
    let request = Request::from_parts(metadata, Extensions::default(), message);
    let path = method.path.clone();
    if method.server_streaming {
        return stream(client.server_streaming(request, path, BytesCodec).await);
    }
    one(client.unary(request, path, BytesCodec).await)
}

/// Runs as a task of its own, which a broken upload ends and a complete one may outlive its client in. Were the call
/// dropped while the upload goes on, it would be reset with CANCEL, which tonic's servers give their handlers as a clean
/// end: that of a complete file.
async fn upload(
    method: &Method,
    message_bytes_max: usize,
    metadata: MetadataMap,
    pieces: Pieces,
    call: Call,
) -> Result<Reply, Rejection> {
    let Pieces { stream, mut broken, cut } = pieces;
    let link = Cuttable { link: method.link.clone(), cut };
    let mut client = Grpc::new(link).max_decoding_message_size(message_bytes_max);
    let request = Request::from_parts(metadata, Extensions::default(), stream);
    let path = method.path.clone();
    let calling = call.scope(async move { one(client.client_streaming(request, path, BytesCodec).await) });
    let reply = tokio::spawn(calling.in_current_span()).await;
    match broken.try_recv() {
        Ok(rejection) => Err(rejection),
        Err(_) => reply.unwrap_or_else(|_panic| Err(Rejection::new(Status::internal("internal error")))),
    }
}

fn refused(status: Status) -> Rejection {
    Rejection::backend(of_backend(status))
}

fn one(outcome: Result<Response<Bytes>, Status>) -> Result<Reply, Rejection> {
    let (metadata, message, _) = outcome.map_err(refused)?.into_parts();
    Ok(Reply { headers: metadata.into_headers(), messages: Replied::One(message) })
}

fn stream(outcome: Result<Response<Streaming<Bytes>>, Status>) -> Result<Reply, Rejection> {
    let (metadata, stream, _) = outcome.map_err(refused)?.into_parts();
    Ok(Reply { headers: metadata.into_headers(), messages: Replied::Stream(Box::new(stream)) })
}
