//! Long polls: calls that wait for something to happen in a store.
//!
//! A bell rung in this process is only a hint that saves time. What happens in another process is found by looking
//! again, so nothing depends on the bell.

use std::pin::pin;
use std::time::Duration;

use malla_runtime::call::Call;
use malla_runtime::shutdown::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long something may have happened unseen when no bell was rung.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Looks until `enough` is seen, and at least once. Gives back what was seen last when `limit` is over, when the
/// call being handled is about to end, or when the process drains. Cancel safe if `look` is.
///
/// # Errors
/// What `look` fails with, at once.
pub async fn until<T, E, F: Future<Output = Result<T, E>>>(
    bell: &Notify,
    limit: Duration,
    shutdown: &Shutdown,
    look: impl Fn() -> F,
    enough: impl Fn(&T) -> bool,
) -> Result<T, E> {
    let end = Instant::now() + Call::remaining().map_or(limit, |left| left.min(limit));
    loop {
        // Listens before it looks: what happens in between is heard.
        let mut rung = pin!(bell.notified());
        rung.as_mut().enable();
        let seen = look().await?;
        let now = Instant::now();
        if now >= end || enough(&seen) {
            return Ok(seen);
        }
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(end.min(now + LOOK_INTERVAL)) => {}
            () = shutdown.draining() => return Ok(seen),
        }
    }
}

#[cfg(test)]
mod tests;
