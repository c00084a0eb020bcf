use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[tokio::test(start_paused = true)]
async fn sweeps_go_on_after_a_failure_and_end_with_the_process() {
    let (shutdown, sweeps) = (Shutdown::default(), Arc::new(AtomicU64::new(0)));
    let counted = sweeps.clone();
    let sweep = move || {
        let done = counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(if done == 0 { Err("locked") } else { Ok(done) })
    };
    let sweeper = tokio::spawn(run("rows", shutdown.clone(), sweep));
    tokio::time::sleep(INTERVAL * 3 + INTERVAL / 2).await;
    shutdown.begin(Duration::ZERO).await;
    sweeper.await.expect("the end");
    assert_eq!(sweeps.load(Ordering::SeqCst), 3);
}
