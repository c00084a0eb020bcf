//! Removes, every minute, the results nobody may fetch any more. They are out of sight before that.

use std::sync::Arc;
use std::time::Duration;

use malla_runtime::shutdown::Shutdown;

use crate::store::Calls;

const INTERVAL: Duration = Duration::from_secs(60);

/// Sweeps until the process drains.
pub(crate) async fn run(calls: Arc<Calls>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.draining() => return,
        }
        match calls.sweep().await {
            Ok(0) => {}
            Ok(expired) => tracing::debug!(expired, "results were removed after their retention"),
            Err(error) => tracing::warn!(%error, "the sweep failed; it is tried again in a minute"),
        }
    }
}
