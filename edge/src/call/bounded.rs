//! Where a call ends that does not end by itself: at its deadline, and, if it streams, when the edge drains.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tokio::task::coop;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::{expired, of_backend};

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Deadline,
    Drain,
}

impl From<End> for Status {
    fn from(end: End) -> Self {
        match end {
            End::Deadline => expired(),
            End::Drain => Self::unavailable("the edge is shutting down"),
        }
    }
}

/// Waits for a call's end. It is looked at only when that wakes it: asked before every message, it takes no lock and sets
/// no timer for any.
pub(crate) fn end(
    deadline: Instant,
    closing: Option<CancellationToken>,
) -> FuturesUnordered<impl Future<Output = End>> {
    let closing = OptionFuture::from(closing.map(CancellationToken::cancelled_owned));
    let end = async move {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => End::Deadline,
            Some(()) = closing => End::Drain,
        }
    };
    FuturesUnordered::from_iter([end])
}

/// A backend's answer that ends with a status of the edge's own when time is up, or `closing` is cancelled.
pub(crate) fn bounded(body: Body, deadline: Instant, closing: Option<CancellationToken>) -> Body {
    Body::new(Bounded { body: Some(body), end: end(deadline, closing) })
}

struct Bounded<E> {
    /// `None` when the edge has ended it.
    body: Option<Body>,
    end: FuturesUnordered<E>,
}

impl<E: Future<Output = End>> HttpBody for Bounded<E> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, end } = &mut *self;
        let Some(answer) = body else { return Poll::Ready(None) };
        // A backend that always has a message ready leaves time for the end, and does not come before it.
        let step = ready!(coop::poll_proceed(context));
        let status = match end.poll_next_unpin(context) {
            Poll::Ready(Some(end)) => end.into(),
            _ => match ready!(Pin::new(answer).poll_frame(context)) {
                Some(Err(status)) => of_backend(status),
                frame => {
                    step.made_progress();
                    return Poll::Ready(frame);
                }
            },
        };
        *body = None;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

#[cfg(test)]
mod tests;
