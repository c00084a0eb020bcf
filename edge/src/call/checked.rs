//! What backends answer, looked at before tonic does: that panics where an error's details are no base64, and blames the
//! client for an answer over the limit.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::headers::BASE64;
use crate::seldom::Seldom;

/// gRPC's framing: a flag, and the message's length.
const HEAD_BYTES: usize = 5;
/// The largest flag there is.
const COMPRESSED: u8 = 1;

static TOO_LARGE: Seldom = Seldom::new();

/// A response whose messages are at most so long, and whose errors can be read.
pub(crate) fn checked(mut response: Response<Body>, message_bytes_max: usize) -> Response<Body> {
    drop_unreadable(response.headers_mut());
    let framing = Framing { message_bytes_max, head: [0; HEAD_BYTES], head_bytes: 0, message_bytes_left: 0 };
    response.map(|body| Body::new(Checked { body, framing }))
}

fn drop_unreadable(headers: &mut HeaderMap) {
    let details = headers.get(Status::GRPC_STATUS_DETAILS);
    if details.is_some_and(|details| BASE64.decode(details.as_bytes()).is_err()) {
        tracing::debug!("the details of a backend's error are no base64 and are left out");
        headers.remove(Status::GRPC_STATUS_DETAILS);
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
                drop_unreadable(trailers);
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
