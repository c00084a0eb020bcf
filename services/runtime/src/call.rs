//! What a call carries with it while it is handled: its deadline, and the headers every further hop gets.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// Taken off the remaining time at each hop, so that the caller's deadline fires after the callee's answer is back.
const HOP_MARGIN: Duration = Duration::from_millis(10);

/// The header that names a request across all hops.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers passed on from hop to hop as they came.
const PASSED_ON: [HeaderName; 3] =
    [REQUEST_ID, HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

tokio::task_local! {
    static CURRENT: Call;
}

/// The call this task is handling; cheap to clone.
#[derive(Clone, Debug)]
pub struct Call {
    deadline: Option<Instant>,
    headers: Arc<HeaderMap>,
}

impl Call {
    /// A call that came with these headers and has to end by `deadline`.
    #[must_use]
    pub fn new(deadline: Option<Instant>, received: &HeaderMap) -> Self {
        let mut headers = HeaderMap::new();
        for name in PASSED_ON {
            if let Some(value) = received.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        Self { deadline, headers: Arc::new(headers) }
    }

    /// Runs a future as the handling of this call.
    pub async fn scope<F: Future>(self, handling: F) -> F::Output {
        CURRENT.scope(self, handling).await
    }

    /// Does one step of the handling of this call: a poll of its response.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), step)
    }

    /// Adds what the call being handled, if any, passes on to the next hop: its request id and trace, and the time
    /// that remains. What is there already stays, but a longer time.
    pub fn pass_on(headers: &mut HeaderMap) {
        let _ = CURRENT.try_with(|call| {
            for (name, value) in &*call.headers {
                headers.entry(name).or_insert_with(|| value.clone());
            }
            if let Some(left) = call.left() {
                let left = timeout(headers).map_or(left, |asked| asked.min(left));
                headers.insert(TIMEOUT, timeout_value(left));
            }
        });
    }

    /// The time left for work on the call being handled, so that its answer is still in time; `None` outside a call
    /// or without a deadline.
    #[must_use]
    pub fn remaining() -> Option<Duration> {
        CURRENT.try_with(Self::left).ok().flatten()
    }

    fn left(&self) -> Option<Duration> {
        let left = self.deadline?.saturating_duration_since(Instant::now());
        Some(left.saturating_sub(HOP_MARGIN))
    }
}

/// The deadline header of gRPC over HTTP/2.
pub const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A duration as `grpc-timeout` writes it: at most eight digits and a unit.
#[must_use]
pub fn timeout_value(duration: Duration) -> HeaderValue {
    const DIGITS_MAX: u128 = 99_999_999;
    let text = match (duration.as_micros(), duration.as_millis()) {
        (micros, _) if micros <= DIGITS_MAX => format!("{micros}u"),
        (_, millis) if millis <= DIGITS_MAX => format!("{millis}m"),
        _ => format!("{}S", duration.as_secs().min(99_999_999)),
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

/// Reads the `grpc-timeout` header; `None` when it is absent or malformed.
#[must_use]
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
