//! Removing, every minute, what a store has no more use for.
//!
//! No promise may depend on when that happens but that of space: what has outlived its time is out of sight before.

use std::fmt::Display;
use std::time::Duration;

use malla_runtime::shutdown::Shutdown;

const INTERVAL: Duration = Duration::from_secs(60);

/// Sweeps until the process drains. `sweep` returns how much it removed, `what` is a word for it.
pub async fn run<E: Display, F: Future<Output = Result<u64, E>>>(
    what: &'static str,
    shutdown: Shutdown,
    sweep: impl Fn() -> F,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.draining() => return,
        }
        match sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(what, removed, "what had outlived its time was removed"),
            Err(error) => tracing::warn!(what, %error, "a sweep failed; it is tried again in a minute"),
        }
    }
}

#[cfg(test)]
mod tests;
