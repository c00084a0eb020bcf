//! Who waits for a queue in this process is told when something has changed there. Only a hint, see [`wait::until`].
//!
//! [`wait::until`]: malla_storage::wait::until

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::Notify;

/// Queues share bells, so that their number is bounded. A ring that wakes the receiver of another queue costs the
/// right one the time until its next look.
const BELLS: usize = 64;

/// All bells of a process.
pub(crate) struct Bells([Notify; BELLS]);

impl Default for Bells {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Notify::new()))
    }
}

impl Bells {
    /// The bell of a queue.
    pub(crate) fn of(&self, queue: &str) -> &Notify {
        let mut hasher = DefaultHasher::new();
        queue.hash(&mut hasher);
        &self.0[hasher.finish() as usize % BELLS]
    }
}
