//! What backends answer, looked at before tonic does: that panics where an error's details are no base64, loses the code
//! where its message is no text, reads a web page as gRPC, takes a message that is cut off for none, and blames the client
//! for an answer over the limit.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use malla_transcode::percent::{self, Keep};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::headers::BASE64;
use crate::protocol::is_grpc;
use crate::seldom::Seldom;
use crate::status::of_http;

/// gRPC's framing: a flag, and the message's length.
const HEAD_BYTES: usize = 5;
/// The largest flag there is.
const COMPRESSED: u8 = 1;

static TOO_LARGE: Seldom = Seldom::new();

/// A response that is gRPC, whose messages are at most so long, and whose errors can be read.
pub(crate) fn checked(mut response: Response<Body>, message_bytes_max: usize) -> Response<Body> {
    let (status, headers) = (response.status(), response.headers_mut());
    if !headers.contains_key(Status::GRPC_STATUS) && (status != StatusCode::OK || !is_grpc(headers)) {
        let content_type = headers.get(header::CONTENT_TYPE);
        tracing::debug!(%status, ?content_type, "a backend's answer is no gRPC");
        let message = format!("the backend answered with HTTP {}, and not with gRPC", status.as_u16());
        return Status::new(of_http(status), message).into_http();
    }
    mend(headers);
    let framing = Framing { message_bytes_max, head: [0; HEAD_BYTES], head_bytes: 0, message_bytes_left: 0 };
    response.map(|body| Body::new(Checked { body, framing }))
}

/// Leaves only what can be read of an error.
fn mend(headers: &mut HeaderMap) {
    let details = headers.get(Status::GRPC_STATUS_DETAILS);
    if details.is_some_and(|details| BASE64.decode(details.as_bytes()).is_err()) {
        tracing::debug!("the details of a backend's error are no base64 and are left out");
        headers.remove(Status::GRPC_STATUS_DETAILS);
    }
    let message = headers.get(Status::GRPC_MESSAGE).map(|message| String::from_utf8_lossy(message.as_bytes()));
    let no_text =
        |message: &Cow<'_, str>| matches!(message, Cow::Owned(_)) || percent::decode(message, Keep::Nothing).is_err();
    if let Some(message) = message.filter(no_text) {
        // As it was sent (gRPC's doc/PROTOCOL-HTTP2.md, Responses).
        let raw = HeaderValue::try_from(message.replace('%', "%25"));
        headers.insert(Status::GRPC_MESSAGE, raw.expect("what came in a header fits one"));
    }
}

struct Checked {
    body: Body,
    framing: Framing,
}

impl HttpBody for Checked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &mut frame {
            if let Some(trailers) = frame.trailers_mut() {
                mend(trailers);
                if self.framing.is_within_message() && trailers.get(Status::GRPC_STATUS).is_some_and(|code| code == "0")
                {
                    return Poll::Ready(Some(Err(Status::internal("the backend's answer ends within a message"))));
                }
            }
            if let Some(data) = frame.data_ref()
                && let Err(status) = self.framing.pass(data)
            {
                return Poll::Ready(Some(Err(status)));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How far an answer has come.
struct Framing {
    message_bytes_max: usize,
    /// What has come of the next message's head.
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    message_bytes_left: usize,
}

impl Framing {
    fn is_within_message(&self) -> bool {
        self.head_bytes > 0 || self.message_bytes_left > 0
    }

    fn pass(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            let skipped = self.message_bytes_left.min(data.len());
            self.message_bytes_left -= skipped;
            data = &data[skipped..];

            let (head, rest) = data.split_at(data.len().min(HEAD_BYTES - self.head_bytes));
            self.head[self.head_bytes..][..head.len()].copy_from_slice(head);
            self.head_bytes += head.len();
            data = rest;
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                let [flag, length @ ..] = self.head;
                self.message_bytes_left = u32::from_be_bytes(length) as usize;
                if flag > COMPRESSED {
                    // No gRPC at all, which tonic says better.
                    self.message_bytes_left = usize::MAX;
                } else if self.message_bytes_left > self.message_bytes_max {
                    let (bytes, bytes_max) = (self.message_bytes_left, self.message_bytes_max);
                    if let Some(answers) = TOO_LARGE.add(Instant::now()) {
                        tracing::error!(answers, bytes, bytes_max, "an answer is larger than edge.message_bytes_max");
                    }
                    return Err(Status::internal("the backend's answer is too large"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
