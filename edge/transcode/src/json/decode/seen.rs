//! What of a message's JSON was there already: a bit for each field.

/// Which fields and, behind them, oneofs of a message were there.
#[derive(Default)]
pub(super) struct Seen {
    low: u64,
    high: Vec<u64>,
}

impl Seen {
    /// Whether it was there before.
    #[inline]
    pub(super) fn replace(&mut self, at: usize) -> bool {
        let word = match at / 64 {
            0 => &mut self.low,
            more => {
                if self.high.len() < more {
                    self.high.resize(more, 0);
                }
                &mut self.high[more - 1]
            }
        };
        let bit = 1 << (at % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
}
