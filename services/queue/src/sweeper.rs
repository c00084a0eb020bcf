//! Removes, every minute, what has outlived its time. No promise depends on when it runs but that of space.

use std::sync::Arc;
use std::time::Duration;

use malla_runtime::shutdown::Shutdown;

use crate::store::Messages;

const INTERVAL: Duration = Duration::from_secs(60);

/// Sweeps until the process drains.
pub(crate) async fn run(messages: Arc<Messages>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.draining() => return,
        }
        match messages.sweep().await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "messages nobody took were removed after their retention"),
            Err(error) => tracing::warn!(%error, "the sweep failed; it is tried again in a minute"),
        }
    }
}
