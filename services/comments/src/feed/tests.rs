use malla_runtime::places::Full;
use malla_storage::testing::Place;

use super::*;
use crate::store::tests::{draft, open};

const SOON: Duration = Duration::from_secs(20);

async fn feed(place: &Place, config: &Config) -> Arc<Feed> {
    Feed::new(open(place).await, config, Shutdown::default())
}

async fn next(watch: &mut Watch) -> Result<Comment, Error> {
    tokio::time::timeout(SOON, watch.next()).await.expect("within the time")
}

async fn a_watch_gets_its_content_only_from_its_begin_on(place: Place) {
    // Polling is out of the way: what comes, comes because of the wake.
    let feed = feed(&place, &Config { poll_ms: 60_000, ..Config::default() }).await;
    feed.comments.create(draft("1", "before")).await.expect("stored");
    feed.wake();
    let mut watch = feed.watch(None, "1", None).await.expect("a watch");
    for text in ["one", "two"] {
        feed.comments.create(draft("2", "another content")).await.expect("stored");
        let stored = feed.comments.create(draft("1", text)).await.expect("stored");
        feed.wake();
        assert_eq!(next(&mut watch).await.expect("a comment"), stored);
        let _second = feed.watch(None, "1", None).await.expect("a second watch");
    }
}

async fn nothing_is_lost_or_doubled_whenever_a_watch_begins_and_whoever_stores(place: Place) {
    const EACH: i64 = 30;
    let config = Config { poll_ms: 10, ..Config::default() };
    let feeds = [feed(&place, &config).await, feed(&place, &config).await];
    let mut watches = Vec::new();
    let mut writers = Vec::new();
    for feed in &feeds {
        let feed = feed.clone();
        writers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                feed.comments.create(draft("1", "x")).await.expect("stored");
                feed.wake();
            }
        }));
    }
    for at in 0..20 {
        let feed = feeds[at % 2].clone();
        watches.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(at as u64 * 3)).await;
            let before = feed.comments.last_position().await.expect("read");
            let mut watch = feed.watch(None, "1", None).await.expect("a watch");
            let after = feed.comments.last_position().await.expect("read");
            let mut got = Vec::new();
            while got.last().copied().unwrap_or(after) < 2 * EACH {
                got.push(next(&mut watch).await.expect("a comment").position);
            }
            // One run without a gap or a repetition, that leaves out nothing stored after the begin.
            let first = got.first().copied().unwrap_or(2 * EACH + 1);
            assert_eq!(got, (first..=2 * EACH).collect::<Vec<_>>());
            assert!((before + 1..=after + 1).contains(&first), "{before} {first} {after}");
        }));
    }
    for task in writers.into_iter().chain(watches) {
        task.await.expect("no panic");
    }
}

async fn a_watch_goes_on_where_the_last_one_broke(place: Place) {
    let feed = feed(&place, &Config { poll_ms: 10, ..Config::default() }).await;
    let mut stored = Vec::new();
    for at in 0..i64::from(BATCH) * 2 + 5 {
        let content = if at % 3 == 0 { "2" } else { "1" };
        stored.push(feed.comments.create(draft(content, "x")).await.expect("stored"));
    }
    let expected = |after: i64, stored: &[Comment]| -> Vec<i64> {
        let ours = stored.iter().filter(|comment| comment.content_id == "1" && comment.position > after);
        ours.map(|comment| comment.position).collect()
    };
    let writer = tokio::spawn({
        let feed = feed.clone();
        async move {
            let mut stored = Vec::new();
            for _ in 0..40 {
                stored.push(feed.comments.create(draft("1", "x")).await.expect("stored"));
                feed.wake();
            }
            stored
        }
    });
    // Each of these watches breaks off after a few comments, and the next one goes on from there.
    let (mut last, mut got) = (2, Vec::new());
    while got.len() < 300 {
        let mut watch = feed.watch(None, "1", Some(last)).await.expect("a watch");
        for _ in 0..37 {
            last = next(&mut watch).await.expect("a comment").position;
            got.push(last);
        }
    }
    stored.extend(writer.await.expect("no panic"));
    let mut watch = feed.watch(None, "1", Some(last)).await.expect("a watch");
    let expected = expected(2, &stored);
    while got.len() < expected.len() {
        got.push(next(&mut watch).await.expect("a comment").position);
    }
    assert_eq!(got, expected);
}

async fn a_slow_reader_is_ended_and_the_others_are_not(place: Place) {
    let feed = feed(&place, &Config { watch_backlog_max: 4, ..Config::default() }).await;
    let (mut slow, mut quick) =
        (feed.watch(None, "1", None).await.expect("a watch"), feed.watch(None, "1", None).await.expect("a watch"));
    for _ in 0..8 {
        feed.comments.create(draft("1", "x")).await.expect("stored");
        feed.wake();
        next(&mut quick).await.expect("a comment");
    }
    assert!(matches!(next(&mut slow).await, Err(Error::TooSlow)));
}

async fn watchers_are_limited_and_leave_their_place(place: Place) {
    let feed = feed(&place, &Config { watchers_max: 1, ..Config::default() }).await;
    let watch = feed.watch(None, "1", None).await.expect("a watch");
    assert!(matches!(feed.watch(None, "2", None).await, Err(Error::TooManyWatches(Full::Service))));
    drop(watch);
    feed.watch(None, "2", None).await.expect("a free place");
}

async fn one_client_has_a_share_of_the_watches(place: Place) {
    let feed = feed(&place, &Config { watchers_max: 3, watchers_per_ip_max: 2, ..Config::default() }).await;
    let watch = async |client: &str| feed.watch(client.parse().ok(), "1", None).await;
    let _watches = [watch("10.0.0.1").await.expect("a watch"), watch("10.0.0.1").await.expect("a watch")];
    assert!(matches!(watch("10.0.0.1").await, Err(Error::TooManyWatches(Full::Client))));
    let _other = watch("10.0.0.2").await.expect("a watch");
}

async fn the_reading_task_ends_with_the_last_watch_and_comes_back(place: Place) {
    let feed = feed(&place, &Config { poll_ms: 10, ..Config::default() }).await;
    for _ in 0..2 {
        let mut watch = feed.watch(None, "1", None).await.expect("a watch");
        let stored = feed.comments.create(draft("1", "x")).await.expect("stored");
        assert_eq!(next(&mut watch).await.expect("a comment"), stored);
        drop(watch);
        // The task holds the second reference.
        tokio::time::timeout(SOON, async {
            while Arc::strong_count(&feed) > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the task ended");
    }
}

async fn a_watch_ends_when_the_process_drains(place: Place) {
    let feed = feed(&place, &Config::default()).await;
    let mut watch = feed.watch(None, "1", None).await.expect("a watch");
    feed.shutdown.begin(Duration::ZERO).await;
    assert!(matches!(next(&mut watch).await, Err(Error::ShuttingDown)));
}

malla_storage::on_every_database![
    a_watch_gets_its_content_only_from_its_begin_on,
    nothing_is_lost_or_doubled_whenever_a_watch_begins_and_whoever_stores,
    a_watch_goes_on_where_the_last_one_broke,
    a_slow_reader_is_ended_and_the_others_are_not,
    watchers_are_limited_and_leave_their_place,
    one_client_has_a_share_of_the_watches,
    the_reading_task_ends_with_the_last_watch_and_comes_back,
    a_watch_ends_when_the_process_drains,
];
