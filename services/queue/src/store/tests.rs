//! What the laws do not say: limits that are counted over all queues, and many callers at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use malla_runtime::module::Context;
use malla_runtime::page::BYTES_MAX;
use prost_types::Value;
use prost_types::value::Kind;
use sea_orm::{QueryTrait as _, Statement};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::*;
use crate::migrations::Migrator;

mod laws;

/// Queues in a folder of their own, and the hands of their clock.
pub(crate) struct Bench {
    pub(crate) messages: Arc<Messages>,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) dir: TempDir,
}

pub(crate) async fn bench(config: Config) -> Bench {
    let (dir, now) = (tempfile::tempdir().expect("a folder"), Arc::new(AtomicI64::new(1_000_000_000)));
    let hands = now.clone();
    let clock: Clock = Arc::new(move || hands.load(Ordering::SeqCst));
    Bench { messages: Arc::new(Messages::new(open(&dir).await, config, clock)), now, dir }
}

impl Messages {
    /// Takes the database away.
    pub(crate) async fn close(&self) {
        self.store.connection.close_by_ref().await.expect("closed");
    }
}

async fn open(dir: &TempDir) -> Store {
    let context = Context::alone(dir.path().to_owned());
    Store::open::<Migrator>("queue", &malla_runtime::database::Config::default(), &context).await.expect("a store")
}

fn body(number: usize) -> Body {
    Body::new(Some(&Value { kind: Some(Kind::NumberValue(number as f64)) })).expect("a body")
}

fn code<T>(result: Result<T, Error>) -> Result<T, Code> {
    result.map_err(|error| Status::from(error).code())
}

fn delivery(message: &Message) -> Delivery {
    let receipt = message.receipt.clone().expect("a receipt");
    Delivery { queue: message.queue.clone(), id: message.id.clone(), receipt }
}

async fn gather<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result.expect("no panic"));
    }
    results
}

#[tokio::test]
async fn queues_are_apart_and_their_number_is_limited() {
    let Bench { messages, dir: _dir, .. } = bench(Config { queues_max: 2, ..Config::default() }).await;
    messages.push("a", body(1), None, 0).await.expect("the first queue");
    messages.push("b", body(2), None, 0).await.expect("the second");
    assert_eq!(code(messages.push("c", body(3), None, 0).await), Err(Code::ResourceExhausted));
    messages.push("a", body(4), None, 0).await.expect("a queue that is open");

    assert_eq!(messages.pop("b").await.expect("a pop").map(|message| message.body), Some(body(2).encoded));
    assert_eq!(messages.pop("b").await.expect("a pop"), None);
    messages.sweep().await.expect("a sweep");
    messages.push("c", body(3), None, 0).await.expect("room after the sweep");
    assert_eq!(messages.count("a").await.expect("a count"), 2);
}

#[tokio::test]
async fn a_sweep_takes_any_number_of_messages() {
    let Bench { messages, now, dir: _dir } = bench(Config { retention_ms: 60_000, ..Config::default() }).await;
    for number in 0..SWEEP_MAX + 1 {
        messages.push(["a", "b"][number % 2], body(number), None, 0).await.expect("room");
    }
    now.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(messages.sweep().await.expect("a sweep"), SWEEP_MAX as u64 + 1);
    assert_eq!(queues::Entity::find().count(&messages.store.connection).await.expect("a count"), 0);
}

/// A table that is read from end to end once a minute, under the lock of all writers, is no table for a busy queue.
#[tokio::test]
async fn a_sweep_finds_what_is_old_by_indexes() {
    let Bench { messages, dir: _dir, .. } = bench(Config::default()).await;
    let old = [
        longest_visible(Condition::all().add(VisibleMs.lte(0)), 100).into_query().to_owned(),
        keys::Entity::find().filter(keys::Column::PushedMs.lte(0)).into_query(),
        acks::Entity::find().filter(acks::Column::AckedMs.lte(0)).into_query(),
    ];
    // Each query is also run, on the same connection: an explanation alone goes by the schema that the connection saw last,
    // which may be that before the indexes were made.
    let connection = messages.store.begin().await.expect("a connection");
    for query in old {
        let sql = query.to_string(sea_orm::sea_query::SqliteQueryBuilder);
        let ask = |sql: String| connection.query_all_raw(Statement::from_string(DatabaseBackend::Sqlite, sql));
        ask(sql.clone()).await.expect("no rows");
        let plan = ask(format!("EXPLAIN QUERY PLAN {sql}")).await;
        let detail = |row: sea_orm::QueryResult| row.try_get::<String>("", "detail").expect("a step");
        let steps: Vec<String> = plan.expect("a plan").into_iter().map(detail).collect();
        assert!(steps.len() == 1 && steps[0].contains("SEARCH") && steps[0].contains("INDEX"), "{steps:?}");
    }
}

/// gRPC clients take 4 MiB. Messages leased in an answer that does not arrive would die without having been seen.
#[tokio::test]
async fn what_is_received_or_listed_at_once_fits_into_one_answer() {
    let config = Config { message_bytes_max: 1 << 20, receives_max: 1, ..Config::default() };
    let Bench { messages, now, dir: _dir } = bench(config).await;
    let big = || Body::new(Some(&Value { kind: Some(Kind::StringValue("x".repeat(1_000_000))) })).expect("a body");
    for _ in 0..5 {
        messages.push("q", big(), None, 0).await.expect("room");
    }
    assert_eq!(messages.receive("q", 10, 1_000).await.expect("leases").len(), BYTES_MAX / 1_000_000);
    assert_eq!(messages.receive("q", 10, 1_000).await.expect("leases").len(), 2, "the others are still there");
    now.fetch_add(1_000, Ordering::SeqCst);
    let letters = messages.dead_letters("q", 0, 10).await.expect("dead letters");
    assert_eq!(letters.len(), BYTES_MAX / 1_000_000 + 1, "one more, by which a page is known not to be the last");
}

#[tokio::test]
async fn an_answer_repeats_no_more_of_a_request_than_a_header_can_carry() {
    let Bench { messages, dir: _dir, .. } = bench(Config::default()).await;
    let unknown = Delivery { queue: "q".into(), id: "x".repeat(100_000), receipt: "x".into() };
    let status = Status::from(messages.ack(&unknown).await.expect_err("stale"));
    assert!(status.message().len() < 300, "{} bytes", status.message().len());
}

#[tokio::test]
async fn a_key_is_known_in_its_own_queue_only() {
    let Bench { messages, dir: _dir, .. } = bench(Config::default()).await;
    let first = messages.push("a", body(1), Some("k"), 0).await.expect("a message");
    assert_eq!(messages.push("a", body(1), Some("k"), 0).await.expect("the same"), first);
    assert_ne!(messages.push("b", body(2), Some("k"), 0).await.expect("another"), first);
}

#[tokio::test]
async fn a_receipt_is_known_for_ten_minutes_and_a_key_for_a_day() {
    let Bench { messages, now, dir: _dir } = bench(Config::default()).await;
    let first = messages.push("q", body(1), Some("k"), 0).await.expect("room");
    let held = delivery(&messages.receive("q", 1, 1_000).await.expect("a lease")[0]);
    let start = now.load(Ordering::SeqCst);
    for (time, expected) in [(0, Ok(())), (TOMBSTONE_MS - 1, Ok(())), (TOMBSTONE_MS, Err(Code::FailedPrecondition))] {
        now.store(start + time, Ordering::SeqCst);
        assert_eq!(code(messages.ack(&held).await), expected, "after {time} ms");
    }
    for (time, same) in [(KEY_MS - 1, true), (KEY_MS, false)] {
        now.store(start + time, Ordering::SeqCst);
        let id = messages.push("q", body(1), Some("k"), 0).await.expect("room");
        assert_eq!(id == first, same, "after {time} ms");
    }
}

#[tokio::test]
async fn messages_and_leases_survive_a_restart() {
    let Bench { messages, now, dir } = bench(Config::default()).await;
    for number in 0..2 {
        messages.push("q", body(number), None, 0).await.expect("room");
    }
    let held = messages.receive("q", 1, 1_000).await.expect("a lease").pop().expect("a message");
    messages.close().await;

    let clock: Clock = Arc::new(move || now.load(Ordering::SeqCst));
    let messages = Messages::new(open(&dir).await, Config::default(), clock);
    assert_eq!(messages.pop("q").await.expect("a pop").map(|message| message.body), Some(body(1).encoded));
    messages.ack(&delivery(&held)).await.expect("the lease still holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_producers_and_consumers_lose_nothing_and_get_nothing_twice() {
    const WORKERS: usize = 4;
    const EACH: usize = 25;
    // The clock stands still: every lease holds to the end.
    let Bench { messages, dir: _dir, .. } = bench(Config::default()).await;
    let (mut producers, mut consumers) = (JoinSet::new(), JoinSet::new());
    let left = Arc::new(AtomicI64::new((WORKERS * EACH) as i64));
    for worker in 0..WORKERS {
        let producer = messages.clone();
        producers.spawn(async move {
            let mut pushed = Vec::new();
            for number in 0..EACH {
                pushed.push(producer.push("q", body(worker * EACH + number), None, 0).await.expect("room"));
            }
            pushed
        });
        let (consumer, left) = (messages.clone(), left.clone());
        consumers.spawn(async move {
            let mut seen = Vec::new();
            while left.load(Ordering::SeqCst) > 0 {
                for message in consumer.receive("q", 3, 1_000).await.expect("leases") {
                    left.fetch_sub(1, Ordering::SeqCst);
                    consumer.ack(&delivery(&message)).await.expect("the lease holds");
                    seen.push(message.id);
                }
                tokio::task::yield_now().await;
            }
            seen
        });
    }
    let pushed = gather(producers).await.concat();
    let seen = gather(consumers).await.concat();
    let sets = [pushed.iter().collect::<HashSet<_>>(), seen.iter().collect()];
    assert_eq!((sets[0].len(), seen.len()), (WORKERS * EACH, WORKERS * EACH));
    assert_eq!(sets[0], sets[1]);
    assert_eq!(messages.stats("q").await.expect("stats"), Stats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pushes_at_once_fill_a_queue_to_its_limit_and_pops_at_once_empty_it() {
    let Bench { messages, dir: _dir, .. } = bench(Config { messages_max: 5, ..Config::default() }).await;
    let (mut pushes, mut pops) = (JoinSet::new(), JoinSet::new());
    for number in 0..20 {
        let messages = messages.clone();
        pushes.spawn(async move { code(messages.push("q", body(number), None, 0).await) });
    }
    let (pushed, refused): (Vec<_>, Vec<_>) = gather(pushes).await.into_iter().partition(Result::is_ok);
    assert_eq!(refused, vec![Err(Code::ResourceExhausted); 15]);
    for _ in 0..20 {
        let messages = messages.clone();
        pops.spawn(async move { messages.pop("q").await.expect("a pop").map(|message| message.id) });
    }
    let popped: Vec<_> = gather(pops).await.into_iter().flatten().collect();
    let sets = [popped.iter().collect::<HashSet<_>>(), pushed.iter().flatten().collect()];
    assert_eq!((popped.len(), &sets[0]), (5, &sets[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_pushed_many_times_at_once_is_one_message() {
    let Bench { messages, dir: _dir, .. } = bench(Config::default()).await;
    let mut pushes = JoinSet::new();
    for _ in 0..20 {
        let messages = messages.clone();
        pushes.spawn(async move { messages.push("q", body(1), Some("key"), 0).await.expect("an id") });
    }
    let ids = gather(pushes).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(messages.count("q").await.expect("a count"), 1);
}
