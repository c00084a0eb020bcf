//! Log lines that clients can bring about as often as they like are written once a minute, with how often that was.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(60);

/// How often something happened.
#[derive(Debug)]
pub(crate) struct Seldom(Mutex<Happened>);

#[derive(Debug)]
struct Happened {
    untold: u64,
    told: Option<Instant>,
}

impl Seldom {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Happened { untold: 0, told: None }))
    }

    /// Once more. How often since it was last told, if it is time to tell.
    pub(crate) fn add(&self, now: Instant) -> Option<u64> {
        let mut happened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        happened.untold += 1;
        if happened.told.is_some_and(|told| now < told + INTERVAL) {
            return None;
        }
        happened.told = Some(now);
        Some(std::mem::take(&mut happened.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_told_together() {
        let (seldom, now) = (Seldom::new(), Instant::now());
        let told = [0, 1, 59, 60, 61, 200].map(|seconds| seldom.add(now + Duration::from_secs(seconds)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
