use tempfile::TempDir;

use super::*;
use crate::store::tests::{draft, open};

const SOON: Duration = Duration::from_secs(20);

async fn feed(dir: &TempDir, config: &Config) -> Arc<Feed> {
    Feed::new(open(dir).await, config, Shutdown::default())
}

async fn next(watch: &mut Watch) -> Result<Comment, Error> {
    tokio::time::timeout(SOON, watch.next()).await.expect("within the time")
}

#[tokio::test]
async fn a_watch_gets_its_content_only_from_its_begin_on() {
    let dir = tempfile::tempdir().expect("a folder");
    // Polling is out of the way: what comes, comes because of the wake.
    let feed = feed(&dir, &Config { poll_ms: 60_000, ..Config::default() }).await;
    feed.comments.create(draft("1", "before")).await.expect("stored");
    feed.wake();
    let mut watch = feed.watch("1").await.expect("a watch");
    for text in ["one", "two"] {
        feed.comments.create(draft("2", "another content")).await.expect("stored");
        let stored = feed.comments.create(draft("1", text)).await.expect("stored");
        feed.wake();
        assert_eq!(next(&mut watch).await.expect("a comment"), stored);
        let _second = feed.watch("1").await.expect("a second watch");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_whenever_a_watch_begins_and_whoever_stores() {
    const EACH: i64 = 30;
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config { poll_ms: 10, ..Config::default() };
    let feeds = [feed(&dir, &config).await, feed(&dir, &config).await];
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
            let mut watch = feed.watch("1").await.expect("a watch");
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

#[tokio::test]
async fn a_slow_reader_is_ended_and_the_others_are_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let feed = feed(&dir, &Config { watch_backlog_max: 4, ..Config::default() }).await;
    let (mut slow, mut quick) = (feed.watch("1").await.expect("a watch"), feed.watch("1").await.expect("a watch"));
    for _ in 0..8 {
        feed.comments.create(draft("1", "x")).await.expect("stored");
        feed.wake();
        next(&mut quick).await.expect("a comment");
    }
    assert!(matches!(next(&mut slow).await, Err(Error::TooSlow)));
}

#[tokio::test]
async fn watchers_are_limited_and_leave_their_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let feed = feed(&dir, &Config { watchers_max: 1, ..Config::default() }).await;
    let watch = feed.watch("1").await.expect("a watch");
    assert!(matches!(feed.watch("2").await, Err(Error::TooManyWatchers)));
    drop(watch);
    feed.watch("2").await.expect("a free place");
}

#[tokio::test]
async fn the_reading_task_ends_with_the_last_watch_and_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let feed = feed(&dir, &Config { poll_ms: 10, ..Config::default() }).await;
    for _ in 0..2 {
        let mut watch = feed.watch("1").await.expect("a watch");
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

#[tokio::test]
async fn a_watch_ends_when_the_process_drains() {
    let dir = tempfile::tempdir().expect("a folder");
    let feed = feed(&dir, &Config::default()).await;
    let mut watch = feed.watch("1").await.expect("a watch");
    feed.shutdown.begin(Duration::ZERO).await;
    assert!(matches!(next(&mut watch).await, Err(Error::ShuttingDown)));
}
