//! Requests over HTTP/2 that were broken off. hyper ends the body cleanly after a reset with NO_ERROR, and tonic's servers
//! do after one with CANCEL: an upload that was cut would pass for complete. So both become an error that is passed on
//! to a backend as a reset with INTERNAL_ERROR.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;

/// A body that fails, and never with CANCELLED, unless all of it came.
#[derive(Debug)]
pub struct Whole(pub Incoming);

impl Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll_frame(context)) {
            Some(Ok(frame)) => Some(Ok(frame)),
            None if self.0.is_end_stream() => None,
            // Without its source, of which hyper would take the reason of its own reset.
            None | Some(Err(_)) => Some(Err(Status::aborted("the client broke the request off"))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
