//! Fault tests come in two sizes: a small one in `make test`, and `make soak`, which prints what was measured as a table.
//!
//! Each row of the table is a test whose name begins with `row_`, wherever it lives.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// The rounds of a fault test, counted from 0: so many, or in `make soak` as many as it asks for and there is time for.
#[derive(Debug)]
pub struct Rounds {
    made: usize,
    wanted: usize,
    until: Option<Instant>,
}

/// How often to do it: `usual`, or in `make soak` `MALLA_SOAK_ROUNDS` times, but not beyond `MALLA_SOAK_SECONDS`.
///
/// # Panics
/// When one of the two is no number.
#[must_use]
pub fn rounds(usual: usize) -> Rounds {
    let number =
        |key| std::env::var(key).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{key} is a number")));
    let seconds = number("MALLA_SOAK_SECONDS").map(|seconds| Duration::from_secs(seconds as u64));
    let wanted = number("MALLA_SOAK_ROUNDS").unwrap_or(usual);
    Rounds { made: 0, wanted, until: seconds.map(|seconds| Instant::now() + seconds) }
}

impl Rounds {
    /// How many there were.
    #[must_use]
    pub fn made(&self) -> usize {
        self.made
    }

    /// Zero in so many rounds is a bound, not a proof: 3 in N at 95 % (the rule of three).
    #[must_use]
    pub fn bound(&self) -> String {
        format!("{} rounds, so < {:.1} % per round at 95 %", self.made, 300.0 / self.made.max(1) as f64)
    }
}

impl Iterator for Rounds {
    type Item = usize;

    /// The first is made however late it is.
    fn next(&mut self) -> Option<usize> {
        let late = self.until.is_some_and(|until| Instant::now() > until);
        let more = self.made < self.wanted && (self.made == 0 || !late);
        self.made += usize::from(more);
        more.then(|| self.made - 1)
    }
}

/// Whether this is the large size.
#[must_use]
pub fn is_soak() -> bool {
    std::env::var_os("MALLA_SOAK_ROUNDS").is_some()
}

/// Adds a line to the table: the row's number, the fault, and what was measured.
///
/// # Panics
/// When the table cannot be written.
pub fn report(row: u32, fault: &str, measured: impl Display) {
    let line = format!("{row:>3}  {fault:<44}  {measured}\n");
    if let Some(table) = std::env::var_os("MALLA_SOAK_TABLE") {
        let file = std::fs::File::options().append(true).create(true).open(table);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the table can be written");
    }
}

/// Says that a row could not be run here, and why: loudly, and in the table.
pub fn skip(row: u32, fault: &str, why: &str) {
    crate::say(&format!("SKIP: row {row} ({fault}): {why}"));
    report(row, fault, format_args!("not run here: {why}"));
}
