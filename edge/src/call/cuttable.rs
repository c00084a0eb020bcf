//! Calls whose request can be cut off so that nobody takes it for complete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame};
use malla_runtime::link::Link;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// A link whose requests' bodies fail once `cut` is cancelled: over HTTP/2 that is a reset with INTERNAL_ERROR.
#[derive(Clone, Debug)]
pub(super) struct Cuttable {
    pub(super) link: Link,
    pub(super) cut: CancellationToken,
    /// Cancelled when all was read of a request's body.
    pub(super) whole: CancellationToken,
}

impl Service<Request<Body>> for Cuttable {
    type Response = Response<Body>;
    type Error = Status;
    type Future = <Link as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Service::<Request<Body>>::poll_ready(&mut self.link, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let cut = Box::pin(self.cut.clone().cancelled_owned());
        let whole = self.whole.clone();
        self.link.call(request.map(|body| Body::new(CutBody { body, cut, whole })))
    }
}

struct CutBody {
    body: Body,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    whole: CancellationToken,
}

impl HttpBody for CutBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Status::internal("the upload broke off"))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.whole.cancel();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
