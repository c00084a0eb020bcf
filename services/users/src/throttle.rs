//! Slows down guessing of one account's password. Pure: time is given.
//!
//! Knows names, not accounts: a name nobody has is throttled just the same, so the answer does not tell. Counts in
//! this process only, and forgets on a restart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures after which the first wait is due.
const FAILURES_FREE: u32 = 5;
/// The first wait; each further failure doubles it.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait: no account is locked for good.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// Failed logins by name.
#[derive(Debug)]
pub(crate) struct Throttle {
    names: Mutex<HashMap<String, Failures>>,
    names_max: usize,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

impl Throttle {
    /// A throttle that remembers up to `names_max` names.
    pub(crate) fn new(names_max: usize) -> Self {
        Self { names: Mutex::default(), names_max }
    }

    /// Lets an attempt begin, or tells how long to wait.
    pub(crate) fn admit(&self, name: &str, now: Instant) -> Result<(), Duration> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(failures) = names.get_mut(name) else { return Ok(()) };
        if failures.until > now {
            return Err(failures.until - now);
        }
        // The next one waits from here on: else any number of parallel attempts would pass at the end of a wait.
        failures.until = now + wait(failures.count);
        Ok(())
    }

    /// Counts a failed attempt.
    pub(crate) fn failed(&self, name: &str, now: Instant) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= self.names_max && !names.contains_key(name) {
            // Names still waiting go last: a flood of made-up names does not end anybody's wait.
            let oldest = names.iter().min_by_key(|(_, failures)| failures.until).map(|(name, _)| name.clone());
            oldest.map(|oldest| names.remove(&oldest));
        }
        let failures = names.entry(name.to_owned()).or_insert(Failures { count: 0, until: now });
        failures.count = failures.count.saturating_add(1);
        failures.until = now + wait(failures.count);
    }

    /// Forgets the failures of a name.
    pub(crate) fn succeeded(&self, name: &str) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn wait(failures: u32) -> Duration {
    match failures.checked_sub(FAILURES_FREE) {
        None => Duration::ZERO,
        Some(doublings) => WAIT_MIN.saturating_mul(2_u32.saturating_pow(doublings)).min(WAIT_MAX),
    }
}

#[cfg(test)]
mod tests;
