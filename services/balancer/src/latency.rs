//! How long an endpoint takes to answer: an average that forgets.

use std::time::Duration;

use tokio::time::Instant;

/// How fast it forgets. An endpoint ten times as slow as others is tried again after about twice this time.
const FORGET: Duration = Duration::from_secs(3);
/// Answers quicker than this are alike: by smaller differences one endpoint would get all calls.
const ALIKE_S: f64 = 0.005;

/// A moving average weighted by time, not by count (as in Finagle's "peak EWMA", without the peak: one long poll says
/// nothing of the calls beside it).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency(Option<(f64, Instant)>);

impl Latency {
    /// Takes one answer into account. The first says how cold the endpoint and the way to it were, and nothing of those
    /// after it: counted in full it would keep calls away for many seconds.
    pub(crate) fn observe(&mut self, latency: Duration, now: Instant) {
        let average = self.0.map_or(0.0, |(average, at)| {
            let kept = kept(at, now);
            average * kept + latency.as_secs_f64() * (1.0 - kept)
        });
        self.0 = Some((average, now));
    }

    /// What one more call costs beside those in flight: lower is better. Who has not answered yet gets one call at a
    /// time.
    pub(crate) fn cost(&self, in_flight: u32, now: Instant) -> f64 {
        match self.0 {
            Some((average, at)) => (average * kept(at, now)).max(ALIKE_S) * f64::from(in_flight + 1),
            None if in_flight == 0 => 0.0,
            None => f64::INFINITY,
        }
    }
}

fn kept(at: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(at).as_secs_f64() / FORGET.as_secs_f64()).exp()
}
