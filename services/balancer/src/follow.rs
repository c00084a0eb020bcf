//! A call at an endpoint, followed until its answer is over: how long it took, how it ended.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::balancer::Shared;
use crate::error::Error;

/// A deadline passed sooner than this says more of the caller than of the endpoint.
const LATE_MIN: Duration = Duration::from_secs(1);

/// A call at an endpoint, until dropped. It counts as in flight until its answer begins: what a stream that stays open
/// costs the endpoint cannot be told, and one that is quiet must not keep all other calls away.
#[derive(Debug)]
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    address: SocketAddr,
    started: Instant,
    in_flight: bool,
    /// When it is the endpoint's failure not to have begun an answer.
    late: Option<Instant>,
}

impl Ticket {
    pub(crate) fn new(shared: Arc<Shared>, address: SocketAddr, started: Instant, deadline: Option<Instant>) -> Self {
        let late = deadline.filter(|deadline| *deadline >= started + LATE_MIN);
        Self { shared, address, started, in_flight: true, late }
    }

    /// How the call ended.
    fn ended(&self, failed: bool) {
        self.shared.ended(self.address, failed);
    }

    /// The call broke off, which is the endpoint's failure where the connection was lost.
    pub(crate) fn failed(&self, error: &Error) {
        if matches!(error, Error::Lost(_)) {
            self.ended(true);
        }
    }

    fn ended_with(&self, status: &HeaderMap) {
        if let Some(code) = status.get(Status::GRPC_STATUS) {
            let late = self.started.elapsed() >= LATE_MIN;
            self.ended(match Code::from_bytes(code.as_bytes()) {
                Code::Unavailable | Code::Internal | Code::Unknown => true,
                Code::DeadlineExceeded => late,
                _ => false,
            });
        }
    }

    /// Follows an answer to its end.
    pub(crate) fn follow(mut self, response: Response<Incoming>) -> Response<Body> {
        let now = Instant::now();
        (self.late, self.in_flight) = (None, false);
        self.shared.table().answered(self.address, now - self.started, now);
        self.ended_with(response.headers());
        response.map(|body| Body::new(Followed { body, ticket: self }))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.late.is_some_and(|late| Instant::now() >= late) {
            self.ended(true);
        }
        if self.in_flight {
            self.shared.table().left(self.address);
        }
    }
}

struct Followed {
    body: Incoming,
    ticket: Ticket,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(trailers) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref()) {
            self.ticket.ended_with(trailers);
        }
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| {
                let error = Error::of_begun(error);
                self.ticket.failed(&error);
                error.into_status(&self.ticket.shared.name)
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
