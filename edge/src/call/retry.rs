//! Calls made again. The one place in the mesh where that happens: layers that each try three times try nine together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use malla_runtime::link;
use malla_runtime::policy::Keys;
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::load::{Backend, Method};

/// Most times a call is made, the first included.
pub(crate) const ATTEMPTS_MAX: u32 = 3;
/// The pause before the second attempt; it doubles with each, give or take a fifth.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. A backend that asks for more has its wish told to the client instead.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How a backend asks for a pause of its own, or for none of this (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What one backend's calls may be repeated: one in ten, and three a second however few there are.
#[derive(Debug)]
pub(crate) struct Budget {
    backend: String,
    tokens: Mutex<(f64, Instant)>,
    retries: Counter<u64>,
}

impl Budget {
    const PER_CALL: f64 = 0.1;
    const PER_SECOND: f64 = 3.0;
    const TOKENS_MAX: f64 = 10.0;

    fn new(backend: &str) -> Self {
        let meter = global::meter("malla");
        let retries = meter.u64_counter("malla.edge.retries").with_description("Calls to backends made again");
        Self {
            backend: backend.to_owned(),
            tokens: Mutex::new((Self::TOKENS_MAX, Instant::now())),
            retries: retries.build(),
        }
    }

    /// A call is made for the first time.
    pub(crate) fn earn(&self, now: Instant) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let by_time = now.saturating_duration_since(tokens.1).as_secs_f64() * Self::PER_SECOND;
        *tokens = ((tokens.0 + by_time.max(Self::PER_CALL)).min(Self::TOKENS_MAX), now);
    }

    fn spend(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = tokens.0 >= 1.0;
        if enough {
            tokens.0 -= 1.0;
        }
        enough
    }
}

/// Those of all backends, by name. They outlive the tables: an overload is not over because a backend has a new route.
pub(crate) type Budgets = HashMap<String, Arc<Budget>>;

/// One for each backend.
pub(crate) fn budgets(backends: &[Backend]) -> Budgets {
    backends.iter().map(|backend| (backend.name.clone(), Arc::new(Budget::new(&backend.name)))).collect()
}

/// How long to wait before the call is made again that failed with `status` as attempt number `attempt`, from 1; `None`
/// when it is not to be made again.
pub(crate) fn pause(method: &Method, status: &Status, attempt: u32, deadline: Instant) -> Option<Duration> {
    if attempt >= ATTEMPTS_MAX || !is_safe(method, status) {
        return None;
    }
    let own = (PAUSE * 2_u32.saturating_pow(attempt - 1)).min(PAUSE_MAX).mul_f64(jitter());
    let pause = asked(status)?.map_or(own, |asked| asked.max(own));
    if pause > PAUSE_MAX || Instant::now() + pause >= deadline || !method.retries.spend() {
        return None;
    }
    let reason = if link::is_unreached(status) { "unreached" } else { "unavailable" };
    let labels = [KeyValue::new("backend", method.retries.backend.clone()), KeyValue::new("reason", reason)];
    method.retries.retries.add(1, &labels);
    Some(pause)
}

/// Whether making a call again cannot do twice what is to be done once: nobody has seen it, or it may be repeated by its
/// method's own declaration: by `idempotency_level`, or because each of its calls has a key (`keys`).
pub(crate) fn is_safe(method: &Method, status: &Status) -> bool {
    let repeatable = method.idempotent || method.keys == Keys::Made;
    link::is_unreached(status) || (status.code() == Code::Unavailable && repeatable)
}

/// The pause a backend asks for, if any; the outer `None` when it asks not to be called again.
fn asked(status: &Status) -> Option<Option<Duration>> {
    match status.metadata().get(PUSHBACK) {
        // Negative or no number: not again.
        Some(pushback) => Some(Some(Duration::from_millis(pushback.to_str().ok()?.parse().ok()?))),
        None => Some(status.get_details_retry_info().and_then(|info| info.retry_delay)),
    }
}

/// 0.8 to 1.2, so that calls that failed together do not come again together.
pub(crate) fn jitter() -> f64 {
    let random = uuid::Uuid::new_v4().as_u64_pair().1 as u32;
    0.8 + 0.4 * f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
