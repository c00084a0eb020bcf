use std::cell::Cell;
use std::convert::Infallible;

use http::HeaderMap;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// Counts looks; the one numbered `at` is enough.
async fn looks_until(at: u32, bell: &Notify, shutdown: &Shutdown) -> (u32, Duration) {
    let (start, looks) = (Instant::now(), Cell::new(0));
    let look = || {
        looks.set(looks.get() + 1);
        std::future::ready(Ok::<_, Infallible>(looks.get()))
    };
    let Ok(seen) = until(bell, LIMIT, shutdown, look, |&seen| seen >= at).await;
    (seen, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_waited_for() {
    assert_eq!(looks_until(1, &Notify::new(), &Shutdown::default()).await, (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn without_a_bell_it_looks_again_until_the_time_is_over() {
    let (looks, waited) = looks_until(u32::MAX, &Notify::new(), &Shutdown::default()).await;
    assert_eq!((looks, waited), (81, LIMIT));
}

#[tokio::test(start_paused = true)]
async fn a_bell_rung_before_the_wait_is_heard_at_once() {
    let bell = Notify::new();
    bell.notify_one();
    assert_eq!(looks_until(2, &bell, &Shutdown::default()).await, (2, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn draining_ends_the_wait() {
    let (bell, shutdown, notice) = (Notify::new(), Shutdown::default(), Duration::from_millis(300));
    let ((), (looks, waited)) = tokio::join!(shutdown.begin(notice), looks_until(u32::MAX, &bell, &shutdown));
    assert_eq!((looks, waited), (2, notice));
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_back_before_the_deadline_of_the_call() {
    let deadline = Duration::from_secs(1);
    let call = Call::new(Some(Instant::now() + deadline), &HeaderMap::new());
    let (_, waited) = call.scope(looks_until(u32::MAX, &Notify::new(), &Shutdown::default())).await;
    assert!(waited < deadline && waited > deadline / 2, "{waited:?}");
}
