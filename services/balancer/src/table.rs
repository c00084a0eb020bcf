//! The endpoints of a service and what is known of each; chooses one for a call. Knows no sockets and no clock.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::latency::Latency;
use crate::outliers::{Outliers, Reason, Tally};

/// Most endpoints of a service: the bits of a [`Mask`].
pub(crate) const ENDPOINTS_MAX: usize = 64;
/// At most one endpoint in so many is ejected, but one may always be.
const EJECTED_ONE_IN: usize = 3;

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It takes calls, as far as is known.
    Usable,
    /// It answers, and asks not to be called: it drains, or its store is away.
    NotServing,
    /// It cannot be connected to. Trying costs a round trip.
    Unreachable,
    /// It does not answer, nor refuse. Trying costs a call all its time.
    Silent,
}

impl Health {
    /// Whether it gives no answer at all.
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Unreachable | Self::Silent)
    }
}

/// An endpoint and its state.
#[derive(Debug)]
struct Entry<T> {
    address: SocketAddr,
    endpoint: T,
    health: Health,
    in_flight: u32,
    latency: Latency,
    outliers: Outliers,
}

/// Some of the entries, by index.
type Mask = u64;

/// All endpoints of a service.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<Entry<T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Table<T> {
    /// Makes these the endpoints; those that stay keep their state. Those over the limit are left out.
    pub(crate) fn replace(&mut self, now: Instant, wanted: impl IntoIterator<Item = (SocketAddr, T)>) {
        let mut before = std::mem::take(&mut self.0);
        for (address, endpoint) in wanted {
            if self.0.len() == ENDPOINTS_MAX || self.find(address).is_some() {
                continue;
            }
            let known = before.iter().position(|entry| entry.address == address);
            self.0.push(known.map(|at| before.swap_remove(at)).unwrap_or_else(|| Entry {
                address,
                endpoint,
                health: Health::Usable,
                in_flight: 0,
                latency: Latency::default(),
                outliers: Outliers::new(now),
            }));
        }
    }

    /// Chooses the better of two endpoints at random, and counts the call as in flight there. `None` when all are
    /// silent or tried.
    pub(crate) fn pick(&mut self, now: Instant, random: u64, tried: &[SocketAddr]) -> Option<(SocketAddr, T)> {
        let candidates = self.candidates(now, tried);
        let count = u64::from(candidates.count_ones());
        if count == 0 {
            return None;
        }
        let first = nth(candidates, random % count);
        let others = candidates & !(1 << first);
        let chosen = if others == 0 {
            first
        } else {
            let second = nth(others, (random >> 32) % (count - 1));
            let cost = |at: usize| self.0[at].latency.cost(self.0[at].in_flight, now);
            let order =
                cost(first).total_cmp(&cost(second)).then(self.0[first].in_flight.cmp(&self.0[second].in_flight));
            if order.is_le() { first } else { second }
        };
        let entry = &mut self.0[chosen];
        entry.in_flight += 1;
        Some((entry.address, entry.endpoint.clone()))
    }

    /// The best endpoints there are: those that are well; with more than half of them ejected, it is not them that
    /// something is wrong with, and all are used; then any that might still take a call.
    fn candidates(&self, now: Instant, tried: &[SocketAddr]) -> Mask {
        let usable = self.mask(|entry| entry.health == Health::Usable);
        let trusted = self.mask(|entry| entry.health == Health::Usable && !entry.outliers.is_ejected(now));
        let best = if trusted.count_ones() * 2 >= usable.count_ones() { trusted } else { usable };
        let not_serving = self.mask(|entry| entry.health == Health::NotServing);
        let unreachable = self.mask(|entry| entry.health == Health::Unreachable);
        let untried = self.mask(|entry| !tried.contains(&entry.address));
        [best, usable, not_serving, unreachable]
            .map(|tier| tier & untried)
            .into_iter()
            .find(|tier| *tier != 0)
            .unwrap_or(0)
    }

    fn mask(&self, test: impl Fn(&Entry<T>) -> bool) -> Mask {
        self.0.iter().enumerate().fold(0, |mask, (at, entry)| mask | Mask::from(test(entry)) << at)
    }

    fn find(&self, address: SocketAddr) -> Option<usize> {
        self.0.iter().position(|entry| entry.address == address)
    }

    fn entry(&mut self, address: SocketAddr) -> Option<&mut Entry<T>> {
        self.0.iter_mut().find(|entry| entry.address == address)
    }

    /// An answer to a call began, which is not in flight any more; whoever answers can be reached.
    pub(crate) fn answered(&mut self, address: SocketAddr, latency: Duration, now: Instant) {
        if let Some(entry) = self.entry(address) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
            entry.latency.observe(latency, now);
            if entry.health.is_down() {
                entry.health = Health::Usable;
            }
        }
    }

    /// A call ended without an answer.
    pub(crate) fn left(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entry(address) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
    }

    /// How a call ended. Says why, when that ejects the endpoint; one that is down is out already, and its health says
    /// when it is back.
    pub(crate) fn ended(&mut self, address: SocketAddr, failed: bool, now: Instant) -> Option<Reason> {
        let at = self.find(address).filter(|at| !self.0[*at].health.is_down())?;
        self.0[at].outliers.record(failed, now);
        if !failed {
            return None;
        }
        let others = self.0.iter().enumerate().filter(|(other, _)| *other != at);
        let others = others.fold(Tally::default(), |sum, (_, other)| sum.add(other.outliers.window(now)));
        let reason = self.0[at].outliers.stands_out(others, now)?;
        let ejected = self.mask(|entry| entry.outliers.is_ejected(now)).count_ones() as usize;
        if self.0.len() < 2 || ejected >= (self.0.len() / EJECTED_ONE_IN).max(1) {
            return None;
        }
        self.0[at].outliers.eject(now);
        Some(reason)
    }

    /// Sets an endpoint's health; returns what it was.
    pub(crate) fn set_health(&mut self, address: SocketAddr, health: Health) -> Option<Health> {
        self.entry(address).map(|entry| std::mem::replace(&mut entry.health, health))
    }

    /// The endpoints to be asked how they are. The only one there is need not be, while it is well: there is no choice.
    pub(crate) fn to_check(&self) -> Vec<(T, Health)> {
        let due = self.0.iter().filter(|entry| self.0.len() > 1 || entry.health != Health::Usable);
        due.map(|entry| (entry.endpoint.clone(), entry.health)).collect()
    }

    /// How many endpoints are in each state.
    pub(crate) fn by_state(&self, now: Instant) -> [(&'static str, u64); 5] {
        let mut counts = [("usable", 0), ("ejected", 0), ("not_serving", 0), ("unreachable", 0), ("silent", 0)];
        for entry in &self.0 {
            let at = match entry.health {
                Health::Usable if entry.outliers.is_ejected(now) => 1,
                Health::Usable => 0,
                Health::NotServing => 2,
                Health::Unreachable => 3,
                Health::Silent => 4,
            };
            counts[at].1 += 1;
        }
        counts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The index of the n-th bit that is set, from 0.
fn nth(mut mask: Mask, n: u64) -> usize {
    for _ in 0..n {
        mask &= mask - 1;
    }
    mask.trailing_zeros() as usize
}

#[cfg(test)]
mod tests;
