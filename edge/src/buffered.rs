//! How many bytes of requests and their answers are held in memory at once, over all of a client's and over all there are:
//! each has a limit of its own, but a few bytes that came compressed can be as many as that, and there are many requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::request::Parts;

use crate::accept::Peer;
use crate::rejection::Rejection;

/// What may still be held; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicU64>);

/// What one request, or one message of a stream, holds until all clones are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Buffered(Arc<Held>);

#[derive(Debug)]
struct Held {
    all: Budget,
    client: Option<Budget>,
    bytes: AtomicU64,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes_max)))
    }

    /// Nothing yet, for one request, of a client that has a budget of its own, where clients are told apart.
    pub(crate) fn begin(&self, head: &Parts) -> Buffered {
        let client = head.extensions.get::<Peer>().map(|peer| peer.places.buffered.clone());
        Buffered(Arc::new(Held { all: self.clone(), client, bytes: AtomicU64::new(0) }))
    }

    /// Whether there was room for as many.
    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Buffered {
    /// The request holds more.
    ///
    /// # Errors
    /// With `Retry-After`: 429 when the client's requests together hold too much, 503 when all do.
    pub(crate) fn add(&self, bytes: u64) -> Result<(), Rejection> {
        let Held { all, client, bytes: held } = &*self.0;
        if client.as_ref().is_some_and(|client| !client.take(bytes)) {
            return Err(Rejection::exhausted("too much of this client's requests and answers is buffered"));
        }
        if !all.take(bytes) {
            client.iter().for_each(|client| client.give(bytes));
            return Err(Rejection::overloaded("the edge is at its limit of buffered bodies"));
        }
        held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// What is held but for the last `ahead` bytes, apart from now on: it goes along with the message that was made of it.
    pub(crate) fn split(&self, ahead: usize) -> Self {
        let Held { all, client, bytes } = &*self.0;
        let held = bytes.fetch_min(ahead as u64, Ordering::Relaxed).saturating_sub(ahead as u64);
        Self(Arc::new(Held { all: all.clone(), client: client.clone(), bytes: AtomicU64::new(held) }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        [Some(&self.all), self.client.as_ref()].into_iter().flatten().for_each(|budget| budget.give(bytes));
    }
}
