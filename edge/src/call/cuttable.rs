//! Uploads that can be cut off so that nobody takes them for complete.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use malla_runtime::call::Call;
use malla_runtime::link::Link;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use tracing::Instrument as _;

use super::expired;
use crate::rejection::Rejection;

/// How long an upload that is cut off may take to break off.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes a call whose upload is cut off by `cut`, and at the latest when the call is over: when it has failed, its time is
/// up, its client has left, or its answer is dropped. `call` makes it, by the link it is given.
///
/// It runs as a task of its own. Were the call dropped while the upload goes on, it would be reset with CANCEL, which tonic's
/// servers give their handlers as a clean end: that of a complete file.
pub(crate) async fn cuttable<T, C>(
    link: &Link,
    cut: CancellationToken,
    deadline: Instant,
    call: impl FnOnce(Cuttable) -> C,
) -> Result<T, Rejection>
where
    T: Send + 'static,
    C: Future<Output = Result<T, Rejection>> + Send + 'static,
{
    let whole = CancellationToken::new();
    let link = Cuttable { link: link.clone(), deadline, cut: cut.clone(), whole: whole.clone() };
    let left = cut.clone().drop_guard();
    let answer = tokio::spawn(ended(call(link), cut, whole, deadline).in_current_span()).await;
    left.disarm();
    answer.unwrap_or_else(|_panic| Err(Rejection::backend(Status::internal("internal error"))))
}

/// A call, until its answer, its deadline, or its upload was cut off.
async fn ended<T>(
    calling: impl Future<Output = Result<T, Rejection>>,
    cut: CancellationToken,
    whole: CancellationToken,
    deadline: Instant,
) -> Result<T, Rejection> {
    let mut calling = pin!(calling);
    tokio::select! {
        answer = &mut calling => return answer,
        () = cut.cancelled() => {}
        () = tokio::time::sleep_until(deadline) => cut.cancel(),
    }
    tokio::select! {
        answer = calling => answer,
        // Nothing is left to be cut off.
        () = whole.cancelled() => Err(Rejection::backend(expired())),
        // Its backend takes nothing more, not even the end.
        () = tokio::time::sleep(CUT_TIMEOUT) => Err(Rejection::backend(expired())),
    }
}

/// A link whose requests' bodies fail once `cut` is cancelled, as it is when the call fails or its answer is dropped: over
/// HTTP/2 that is a reset with INTERNAL_ERROR.
#[derive(Clone, Debug)]
pub(crate) struct Cuttable {
    link: Link,
    deadline: Instant,
    cut: CancellationToken,
    /// Cancelled when all was read of a request's body.
    whole: CancellationToken,
}

impl Service<Request<Body>> for Cuttable {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Service::<Request<Body>>::poll_ready(&mut self.link, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { mut link, deadline, cut, whole } = self.clone();
        let over = cut.clone().drop_guard();
        let cut = Box::pin(cut.cancelled_owned());
        let request = request.map(|body| Body::new(CutBody { body, cut, whole }));
        // A link gives calls up a little before their deadline, by a reset with CANCEL: the cut has to come first.
        let call = Call::new(Some(deadline + CUT_TIMEOUT), request.headers());
        Box::pin(async move {
            let response = call.scope(async { link.call(request).await }).await?;
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _until_dropped = &over;
                    frame
                }))
            }))
        })
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
