//! An open-loop load driver: calls begin by the clock, whether or not earlier ones have ended, so that a stall is seen in
//! full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// From the beginning of the load to that of the request.
    pub(crate) at: Duration,
    pub(crate) latency: Duration,
    /// `None` when there was no answer.
    pub(crate) status: Option<u16>,
}

impl Sample {
    pub(crate) fn is_error(&self) -> bool {
        self.status.is_none_or(|status| status >= 500)
    }
}

/// A load that is on until it is ended.
pub(crate) struct Load {
    started: Instant,
    over: Arc<AtomicBool>,
    driver: JoinHandle<Vec<Sample>>,
}

impl Load {
    /// Sends GET requests, `per_second` of them.
    pub(crate) fn start(url: String, per_second: u32) -> Self {
        let (started, over) = (Instant::now(), Arc::<AtomicBool>::default());
        let driver = tokio::spawn(drive(url, per_second, started, over.clone()));
        Self { started, over, driver }
    }

    /// How long it has been on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until it has been on for so long.
    pub(crate) async fn reach(&self, duration: Duration) {
        tokio::time::sleep_until(self.started + duration).await;
    }

    /// Waits for the answers to all that was sent.
    pub(crate) async fn end(self) -> Vec<Sample> {
        self.over.store(true, Ordering::Relaxed);
        self.driver.await.unwrap()
    }
}

async fn drive(url: String, per_second: u32, started: Instant, over: Arc<AtomicBool>) -> Vec<Sample> {
    let (client, mut requests) = (reqwest::Client::new(), JoinSet::new());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !over.load(Ordering::Relaxed) {
        let due = ticks.tick().await;
        let (client, url) = (client.clone(), url.clone());
        requests.spawn(async move {
            let answer = client.get(url).send().await;
            let status = answer.ok().map(|answer| answer.status().as_u16());
            // Measured from when it was due: a driver that is behind hides nothing.
            Sample { at: due.saturating_duration_since(started), latency: due.elapsed(), status }
        });
    }
    requests.join_all().await
}

/// The latency that 99 in 100 stay under.
pub(crate) fn p99<'s>(samples: impl Iterator<Item = &'s Sample>) -> Duration {
    let mut latencies: Vec<Duration> = samples.map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}
