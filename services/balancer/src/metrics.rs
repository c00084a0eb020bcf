//! What is measured. Instruments are made at first use: a link may be older than the process's telemetry.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

use crate::outliers::Reason;

static EJECTIONS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let meter = global::meter("malla");
    let counter = meter.u64_counter("malla.link.ejections");
    counter.with_description("Times an endpoint was left out for its failures").build()
});
static ENDPOINTS: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    let meter = global::meter("malla");
    let gauge = meter.u64_gauge("malla.link.endpoints");
    gauge.with_description("Endpoints of a service by state").build()
});

pub(crate) fn ejected(service: &str, reason: Reason) {
    let reason = match reason {
        Reason::Consecutive => "consecutive",
        Reason::Share => "share",
    };
    EJECTIONS.add(1, &[KeyValue::new("service", service.to_owned()), KeyValue::new("reason", reason)]);
}

pub(crate) fn endpoints(service: &str, by_state: [(&'static str, u64); 5]) {
    for (state, count) in by_state {
        ENDPOINTS.record(count, &[KeyValue::new("service", service.to_owned()), KeyValue::new("state", state)]);
    }
}
