use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_process_has_drained_when_its_work_has_ended_or_had_its_time() {
    for (work_s, drained_s) in [(3, 3), (20, 10)] {
        let shutdown = Shutdown::new(Duration::from_secs(10));
        shutdown.spawn(tokio::time::sleep(Duration::from_secs(work_s)));
        let began = Instant::now();
        tokio::join!(shutdown.begin(Duration::ZERO), shutdown.drained());
        assert_eq!(began.elapsed().as_secs(), drained_s);
    }
}
