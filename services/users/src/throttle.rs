//! Slows down guessing of passwords. Pure: time is given.
//!
//! The waits that grow are of an address and a name together, so that nobody's failures keep another from an account;
//! looser limits of each alone meet those who guess from many addresses, or at many names. Knows names, not accounts: one
//! nobody has is throttled just the same, so the answer does not tell. Counts in this process only, and forgets on a
//! restart.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures of one address at one name after which the first wait is due.
const FAILURES_FREE: u32 = 5;
/// The first wait; each further failure doubles it.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait: no account is locked for good.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Failures at one name, wherever they come from.
const OF_NAME: Rate = Rate { failures: 100, within: Duration::from_secs(15 * 60) };
/// Within which those of one address are counted.
const OF_ADDRESS_WITHIN: Duration = Duration::from_secs(60);

/// Failed logins. The address is `None` of calls from within the mesh.
#[derive(Debug)]
pub(crate) struct Throttle {
    failed: Mutex<Failed>,
    of_address: Rate,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Failed {
    pairs: HashMap<(Option<IpAddr>, String), Pair>,
    names: HashMap<String, Instant>,
    addresses: HashMap<IpAddr, Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    failures: u32,
    until: Instant,
    /// The name's failures elsewhere are not held against an address it has logged in from.
    at_home: bool,
}

/// So many failures at once, and then as many in each such time. Kept is only when the last of them is forgotten.
#[derive(Debug)]
struct Rate {
    failures: u32,
    within: Duration,
}

impl Rate {
    fn admit(&self, forgotten: Option<&Instant>, now: Instant) -> Result<(), Duration> {
        let left = forgotten.map_or(Duration::ZERO, |forgotten| forgotten.saturating_duration_since(now));
        let over = (left + self.within / self.failures).saturating_sub(self.within);
        if over.is_zero() { Ok(()) } else { Err(over) }
    }

    fn failed(&self, forgotten: &mut Instant, now: Instant) {
        *forgotten = (*forgotten).max(now) + self.within / self.failures;
    }
}

impl Throttle {
    /// A throttle that allows an address so many failures a minute, and remembers up to `entries_max` addresses, names, and
    /// pairs of them.
    pub(crate) fn new(of_address: u32, entries_max: usize) -> Self {
        let of_address = Rate { failures: of_address, within: OF_ADDRESS_WITHIN };
        Self { failed: Mutex::default(), of_address, entries_max }
    }

    /// Lets an attempt begin, or tells how long to wait.
    pub(crate) fn admit(&self, address: Option<IpAddr>, name: &str, now: Instant) -> Result<(), Duration> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let Failed { pairs, names, addresses } = &mut *failed;
        self.of_address.admit(address.and_then(|address| addresses.get(&address)), now)?;
        let pair = pairs.get_mut(&(address, name.to_owned()));
        if !pair.as_ref().is_some_and(|pair| pair.at_home) {
            OF_NAME.admit(names.get(name), now)?;
        }
        let Some(pair) = pair else { return Ok(()) };
        if pair.until > now {
            return Err(pair.until - now);
        }
        // The next one waits from here on: else any number of parallel attempts would pass at the end of a wait.
        pair.until = now + wait(pair.failures);
        Ok(())
    }

    /// Counts a failed attempt.
    pub(crate) fn failed(&self, address: Option<IpAddr>, name: &str, now: Instant) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = Pair { failures: 0, until: now, at_home: false };
        let pair = entry(&mut failed.pairs, (address, name.to_owned()), self.entries_max, pair, |pair| pair.until);
        pair.failures = pair.failures.saturating_add(1);
        pair.until = now + wait(pair.failures);
        OF_NAME.failed(entry(&mut failed.names, name.to_owned(), self.entries_max, now, |at| *at), now);
        if let Some(address) = address {
            let forgotten = entry(&mut failed.addresses, address, self.entries_max, now, |at| *at);
            self.of_address.failed(forgotten, now);
        }
    }

    /// Forgets the failures of an address at a name; not those of the address, which may have an account to succeed with.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>, name: &str, now: Instant) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = Pair { failures: 0, until: now, at_home: true };
        *entry(&mut failed.pairs, (address, name.to_owned()), self.entries_max, pair, |pair| pair.until) = pair;
    }
}

/// The entry of a key, made if it is missing. What ends first makes room: a flood of made-up names does not end anybody's
/// wait.
fn entry<K: Clone + Eq + Hash, V>(
    entries: &mut HashMap<K, V>,
    key: K,
    entries_max: usize,
    new: V,
    end: fn(&V) -> Instant,
) -> &mut V {
    if entries.len() >= entries_max && !entries.contains_key(&key) {
        let first = entries.iter().min_by_key(|(_, entry)| end(entry)).map(|(key, _)| key.clone());
        first.map(|first| entries.remove(&first));
    }
    entries.entry(key).or_insert(new)
}

fn wait(failures: u32) -> Duration {
    match failures.checked_sub(FAILURES_FREE) {
        None => Duration::ZERO,
        Some(doublings) => WAIT_MIN.saturating_mul(2_u32.saturating_pow(doublings)).min(WAIT_MAX),
    }
}

#[cfg(test)]
mod tests;
