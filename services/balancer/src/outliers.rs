//! Endpoints that answer, but badly: when to leave one out, and for how long.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that eject.
const CONSECUTIVE_MAX: u32 = 5;
/// Calls in the window before a share of failures says anything.
const CALLS_MIN: u32 = 10;
/// One failure in so many calls is too much.
const FAILED_ONE_IN: u32 = 4;
/// The window is so many slots of this length.
const SLOTS: usize = 5;
const SLOT: Duration = Duration::from_secs(2);
/// The first ejection; the n-th in a row is n times as long.
const EJECTION: Duration = Duration::from_secs(30);
const EJECTION_MAX: Duration = Duration::from_secs(300);

/// Calls and failures of a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
}

impl Tally {
    pub(crate) fn add(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, failures: self.failures + other.failures }
    }
}

/// Why an endpoint is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// One failure after the other.
    Consecutive,
    /// A share of failures that the others do not have.
    Share,
}

/// What an endpoint's calls came to.
#[derive(Debug)]
pub(crate) struct Outliers {
    epoch: Instant,
    consecutive: u32,
    /// Each with the number of its slot since the epoch.
    slots: [(u64, Tally); SLOTS],
    ejections: u32,
    ejected_until: Instant,
}

impl Outliers {
    pub(crate) fn new(now: Instant) -> Self {
        Self { epoch: now, consecutive: 0, slots: Default::default(), ejections: 0, ejected_until: now }
    }

    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        now < self.ejected_until
    }

    /// Writes down how a call ended. What comes back of calls sent before an ejection is not held against it again.
    pub(crate) fn record(&mut self, failed: bool, now: Instant) {
        if self.is_ejected(now) {
            return;
        }
        self.consecutive = if failed { self.consecutive + 1 } else { 0 };
        let number = self.slot(now);
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.0 != number {
            *slot = (number, Tally::default());
        }
        slot.1 = slot.1.add(Tally { calls: 1, failures: failed.into() });
    }

    /// The calls of the window.
    pub(crate) fn window(&self, now: Instant) -> Tally {
        let now = self.slot(now);
        let recent = self.slots.iter().filter(|(number, _)| number + SLOTS as u64 > now);
        recent.fold(Tally::default(), |sum, (_, tally)| sum.add(*tally))
    }

    /// Whether it fails too often: in a row, or as the others, whose calls are given, do not.
    pub(crate) fn stands_out(&self, others: Tally, now: Instant) -> Option<Reason> {
        let own = self.window(now);
        // The others' share is less than half of its own.
        let alone =
            u64::from(others.failures) * u64::from(own.calls) * 2 < u64::from(own.failures) * u64::from(others.calls);
        if self.consecutive >= CONSECUTIVE_MAX {
            Some(Reason::Consecutive)
        } else if own.calls >= CALLS_MIN && own.failures * FAILED_ONE_IN >= own.calls && alone {
            Some(Reason::Share)
        } else {
            None
        }
    }

    /// Leaves it out for a while, longer each time; each such while that it stays in takes one time off.
    pub(crate) fn eject(&mut self, now: Instant) {
        let stayed = now.saturating_duration_since(self.ejected_until).as_secs() / EJECTION.as_secs();
        self.ejections = self.ejections.saturating_sub(u32::try_from(stayed).unwrap_or(u32::MAX)).saturating_add(1);
        self.ejected_until = now + EJECTION.saturating_mul(self.ejections).min(EJECTION_MAX);
        self.consecutive = 0;
        self.slots = Default::default();
    }

    fn slot(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_secs() / SLOT.as_secs()
    }
}

#[cfg(test)]
mod tests;
