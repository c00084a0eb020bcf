//! How many bytes of requests are held in memory at once, over all of them: each has a limit of its own, but a few bytes
//! that came compressed can be as many as that, and there are many requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::rejection::Rejection;

/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What may still be held; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicU64>);

/// What one request holds, until all clones are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Buffered(Arc<Held>);

#[derive(Debug)]
struct Held {
    budget: Budget,
    bytes: AtomicU64,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes_max)))
    }

    /// Nothing yet, for one request.
    pub(crate) fn begin(&self) -> Buffered {
        Buffered(Arc::new(Held { budget: self.clone(), bytes: AtomicU64::new(0) }))
    }
}

impl Buffered {
    /// The request holds more.
    ///
    /// # Errors
    /// 503 with `Retry-After` when all requests together hold too much.
    pub(crate) fn add(&self, bytes: u64) -> Result<(), Rejection> {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self.0.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map_err(|_| Rejection::overloaded("the edge is at its limit of buffered bodies", RETRY_AFTER))?;
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_add(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
