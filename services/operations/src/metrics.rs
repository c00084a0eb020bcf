//! What is measured of deferred calls.

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

use crate::store::Stats;

/// The instruments, made once.
pub(crate) struct Metrics {
    unfinished: Gauge<i64>,
    oldest: Gauge<f64>,
    repeated: Counter<u64>,
    dead: Counter<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let meter = global::meter("malla");
        let gauge = meter.i64_gauge("operations.unfinished").with_description("Deferred calls that have not ended");
        let oldest = meter.f64_gauge("operations.oldest.age").with_unit("s");
        let repeated = meter.u64_counter("operations.repeated").with_description("Attempts after a call's first");
        let dead = meter.u64_counter("operations.dead").with_description("Deferred calls that were given up");
        Self {
            unfinished: gauge.build(),
            oldest: oldest.with_description("Age of the oldest deferred call that has not ended").build(),
            repeated: repeated.build(),
            dead: dead.build(),
        }
    }
}

impl Metrics {
    pub(crate) fn unfinished(&self, stats: &Stats) {
        self.unfinished.record(stats.queued, &[KeyValue::new("state", "queued")]);
        self.unfinished.record(stats.running, &[KeyValue::new("state", "running")]);
        #[expect(clippy::cast_precision_loss, reason = "an age")]
        self.oldest.record(stats.oldest_ms.unwrap_or(0) as f64 / 1e3, &[]);
    }

    pub(crate) fn repeated(&self) {
        self.repeated.add(1, &[]);
    }

    pub(crate) fn dead(&self) {
        self.dead.add(1, &[]);
    }
}
