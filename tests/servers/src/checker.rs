//! What became of each message or call: the arithmetic of a total-queue check, as RabbitMQ's Jepsen suite does it.
//!
//! An attempt ends `Ok` (acknowledged: it must be there), `Failed` (refused for certain: it must not) or `Unknown` (it may).

use std::collections::BTreeMap;
use std::fmt;

/// How an attempt ended for the one who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged.
    Ok,
    /// Refused, with a definite answer.
    Failed,
    /// No answer, or one that says nothing.
    Unknown,
}

/// Attempts by name, and how often each was seen in the end.
#[derive(Debug, Default)]
pub struct Checker {
    attempts: BTreeMap<String, Outcome>,
    seen: BTreeMap<String, usize>,
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Made.
    pub attempted: usize,
    /// Acknowledged.
    pub acked: usize,
    /// Acknowledged and never seen.
    pub lost: usize,
    /// Seen more than once.
    pub duplicated: usize,
    /// Seen, though never attempted or refused for certain.
    pub unexpected: usize,
    /// Seen, though nobody knew.
    pub recovered: usize,
}

impl Checker {
    /// Notes how an attempt ended. Made again under one name, the best end counts.
    pub fn attempted(&mut self, name: impl Into<String>, outcome: Outcome) {
        let ended = self.attempts.entry(name.into()).or_insert(outcome);
        if outcome == Outcome::Ok || (outcome == Outcome::Unknown && *ended == Outcome::Failed) {
            *ended = outcome;
        }
    }

    /// Notes that its effect, or its delivery, was seen.
    pub fn seen(&mut self, name: impl Into<String>) {
        *self.seen.entry(name.into()).or_default() += 1;
    }

    /// Counts, once everything has healed and been drained.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let seen = |name: &String| self.seen.contains_key(name);
        let ended = |outcome| self.attempts.iter().filter(move |(_, ended)| **ended == outcome).map(|(name, _)| name);
        let refused = |name: &String| matches!(self.attempts.get(name), None | Some(Outcome::Failed));
        Verdict {
            attempted: self.attempts.len(),
            acked: ended(Outcome::Ok).count(),
            lost: ended(Outcome::Ok).filter(|name| !seen(name)).count(),
            duplicated: self.seen.values().filter(|count| **count > 1).count(),
            unexpected: self.seen.keys().filter(|name| refused(name)).count(),
            recovered: ended(Outcome::Unknown).filter(|name| seen(name)).count(),
        }
    }
}

impl std::ops::AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.attempted += other.attempted;
        self.acked += other.acked;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.unexpected += other.unexpected;
        self.recovered += other.recovered;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempted, acked, lost, duplicated, unexpected, recovered } = self;
        write!(
            formatter,
            "{attempted} attempted, {acked} acked, {lost} lost, {duplicated} duplicated, {unexpected} unexpected, {recovered} recovered"
        )
    }
}

#[cfg(test)]
mod tests;
