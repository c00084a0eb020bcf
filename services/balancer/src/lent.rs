//! Requests that can be sent again for as long as nobody has begun to read their body.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// A request that is lent to one connection after the other.
pub(crate) struct Lent {
    head: Parts,
    body: Arc<Mutex<Lendable>>,
}

struct Lendable {
    body: Body,
    begun: bool,
}

impl Lent {
    pub(crate) fn new(request: Request<Body>) -> Self {
        let (head, body) = request.into_parts();
        Self { head, body: Arc::new(Mutex::new(Lendable { body, begun: false })) }
    }

    pub(crate) fn lend(&self) -> Request<Body> {
        Request::from_parts(self.head.clone(), Body::new(LentBody(self.body.clone())))
    }

    /// Whether nothing of the body has been taken.
    pub(crate) fn is_whole(&self) -> bool {
        !lock(&self.body).begun
    }
}

fn lock(body: &Mutex<Lendable>) -> MutexGuard<'_, Lendable> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

struct LentBody(Arc<Mutex<Lendable>>);

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut lent = lock(&self.0);
        lent.begun = true;
        Pin::new(&mut lent.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}
