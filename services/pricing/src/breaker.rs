//! A circuit breaker: after enough failures in a row, no calls for a while. Knows no clock; the caller tells the time.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open the breaker.
const FAILURES_MAX: u32 = 5;
/// How long it stays open. The first failure after that opens it again.
const OPEN: Duration = Duration::from_secs(30);

/// Counts the failures of one neighbour.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| until <= now)
    }

    /// Learns how a call ended.
    pub(crate) fn record(&mut self, succeeded: bool, now: Instant) {
        if succeeded {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.open_until = Some(now + OPEN);
        }
    }
}

#[cfg(test)]
mod tests;
