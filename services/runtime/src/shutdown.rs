//! One signal to drain, a second to leave at once.
//!
//! Order of a shutdown: readiness turns false, a notice period lets balancers see it, listeners close, work in
//! flight ends under a deadline, the process exits with 0.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Section `[shutdown]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long readiness is false before listeners close, after SIGTERM: at most 600000. Default 2000. Ctrl-C waits not at all.
    pub notice_ms: u64,
    /// How long work in flight may take to end before it is cut: at most 3600000. Default 30000.
    pub drain_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { notice_ms: 2_000, drain_ms: 30_000 }
    }
}

/// The state of a process's shutdown; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    unready: CancellationToken,
    draining: CancellationToken,
    work: TaskTracker,
    drain: Duration,
}

impl Shutdown {
    /// A shutdown nobody has asked for.
    #[must_use]
    pub fn new(drain: Duration) -> Self {
        Self { drain, ..Self::default() }
    }

    /// Ends when readiness has to be false.
    pub async fn unready(&self) {
        self.unready.cancelled().await;
    }

    /// Ends when listeners have to close and streams to end. Cancel safe.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Does work that no listener waits for, and that is not to be cut before the drain's deadline.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn(work);
    }

    /// Ends when the process drains and spawned work has ended, or has had its time.
    pub async fn drained(&self) {
        self.draining().await;
        self.work.close();
        let _cut = tokio::time::timeout(self.drain, self.work.wait()).await;
    }

    /// How long work in flight may take to end once draining.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        self.drain
    }

    /// Starts the shutdown: unready at once, draining after the notice period.
    pub async fn begin(&self, notice: Duration) {
        self.unready.cancel();
        tokio::time::sleep(notice).await;
        self.draining.cancel();
    }
}

/// Waits for SIGTERM or SIGINT and begins the shutdown. A second signal ends the process with 130 at once.
///
/// # Errors
/// When the process cannot register for signals.
pub async fn on_signal(shutdown: Shutdown, config: Config) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let notice = tokio::select! {
        _ = terminate.recv() => Duration::from_millis(config.notice_ms),
        _ = interrupt.recv() => Duration::ZERO,
    };
    tracing::info!("shutting down: draining; a second signal ends it at once");
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("second signal: leaving at once");
        std::process::exit(130);
    });
    shutdown.begin(notice).await;
    Ok(())
}

#[cfg(test)]
mod tests;
