//! gRPC passed through: bytes as they come, both ways, never decoded.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Version};
use http_body::{Body as HttpBody, Frame};
use malla_runtime::call::{self as deadlines, Call};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use crate::call::{expired, headers, of_backend};
use crate::encode::Answer;
use crate::load::Method;
use crate::rejection::Rejection;

/// Sends a request on to its backend.
///
/// # Errors
/// The backend cannot be reached, or did not even begin to answer before the deadline.
pub(crate) async fn pass(
    method: &Method,
    head: &Parts,
    headers: HeaderMap,
    body: Body,
    deadline: Instant,
    closing: CancellationToken,
) -> Result<Answer, Rejection> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = method.path.clone().into();
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    // Whatever the client wrote, the backend gets what remains.
    request.headers_mut().remove(deadlines::TIMEOUT);
    let call = Call::new(Some(deadline), request.headers());
    let calling = call.scope(method.link.clone().oneshot(request));
    let calling = async {
        if !method.client_streaming {
            return calling.await;
        }
        // As with uploads over REST: dropped, the call would be reset with CANCEL, and look complete to its backend.
        let answer = tokio::spawn(calling.in_current_span()).await;
        answer.unwrap_or_else(|_panic| Err(Status::internal("internal error")))
    };
    let response = tokio::time::timeout_at(deadline, calling).await;
    let (parts, body) = response.map_err(|_| Rejection::backend(expired()))?.map_err(Rejection::of_call)?.into_parts();
    let closing = method.server_streaming.then_some(closing);
    let body = bounded(body, Some(deadline), closing);
    Ok(Answer { status: parts.status, headers: headers::pass(&parts.headers, None), body })
}

/// A gRPC answer that ends with a status of the edge's own when time is up or the edge drains.
pub(crate) fn bounded(body: Body, deadline: Option<Instant>, closing: Option<CancellationToken>) -> Body {
    let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
    let closing = closing.map(|closing| Box::pin(closing.cancelled_owned()));
    Body::new(Bounded { body, deadline, closing, ended: false })
}

struct Bounded {
    body: Body,
    deadline: Option<Pin<Box<Sleep>>>,
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ended: bool,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let late = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready());
        let closing = self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(context).is_ready());
        let status = match (late, closing) {
            (true, _) => expired(),
            (false, true) => Status::unavailable("the edge is shutting down"),
            (false, false) => match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Err(status)) => of_backend(status),
                frame => return Poll::Ready(frame),
            },
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
