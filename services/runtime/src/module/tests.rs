use super::*;

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_not_serving_and_a_drain_ends_every_watch() {
    let (health, shutdown) = (Registry::default(), Shutdown::default());
    set_all(&["a"], &health, State::Serving);
    let probe: Probe = Box::new(|| Box::pin(std::future::pending()));
    let keeper = tokio::spawn(keep_health(&["a"], health.clone(), Some(probe), shutdown.clone()));
    tokio::time::sleep(PROBE_INTERVAL + PROBE_TIMEOUT + Duration::from_millis(1)).await;
    assert_eq!(health.get("a"), Some(State::NotServing));
    shutdown.begin(Duration::ZERO).await;
    keeper.await.expect("the end");
    assert_eq!(health.all(), []);
}
