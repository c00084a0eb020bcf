//! The call to a backend: its deadline, its metadata, its answer as bytes.

mod codec;
pub(crate) mod headers;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use malla_runtime::call::Call;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};

use crate::decode::{Messages, Pieces};
use crate::load::Method;
use crate::rejection::Rejection;

pub(crate) use codec::BytesCodec;

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

/// A status that no backend sent but a broken connection gave rise to, whatever its code, is UNAVAILABLE.
pub(crate) fn of_backend(status: Status) -> Status {
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
    let client = Grpc::new(method.link.clone()).max_decoding_message_size(message_bytes_max);
    let calling = call.scope(send(client, method, metadata, messages));
    match tokio::time::timeout_at(deadline, calling).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Rejection::backend(expired())),
    }
}

async fn send(
    mut client: Grpc<malla_runtime::link::Link>,
    method: &Method,
    metadata: MetadataMap,
    messages: Messages,
) -> Result<Reply, Rejection> {
    let path = method.path.clone();
    match messages {
        Messages::One(message) if method.server_streaming => {
            let request = Request::from_parts(metadata, Extensions::default(), message);
            stream(client.server_streaming(request, path, BytesCodec).await)
        }
        Messages::One(message) => {
            let request = Request::from_parts(metadata, Extensions::default(), message);
            one(client.unary(request, path, BytesCodec).await)
        }
        Messages::Pieces(Pieces { stream: pieces, broken }) => {
            let request = Request::from_parts(metadata, Extensions::default(), pieces);
            let answer = async {
                if method.server_streaming {
                    return stream(client.streaming(request, path, BytesCodec).await);
                }
                one(client.client_streaming(request, path, BytesCodec).await)
            };
            tokio::select! {
                biased;
                Ok(rejection) = broken => Err(rejection),
                reply = answer => reply,
            }
        }
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
