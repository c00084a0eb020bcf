//! What the laws do not say: limits that are counted over all queues, and many callers at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use fred::interfaces::{ClientLike as _, ClusterInterface as _};
use fred::types::CustomCommand;
use malla_runtime::config::Secret;
use malla_runtime::page::BYTES_MAX;
use malla_servers::group::Group;
use malla_servers::{Kind, Server};
use malla_storage::database::{Clock, Store};
use malla_storage::redis::Client;
use malla_storage::testing::Place;
use prost_types::Value;
use prost_types::value::Kind as ValueKind;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, DatabaseBackend, QueryTrait as _, Statement};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::sql::SWEEP_MAX;
use super::sql::entity::messages::Column::VisibleMs;
use super::sql::entity::{acks, keys, queues};
use super::sql::select::{arrived, arriving, longest_visible, oldest, places, ready};
use super::*;
use crate::config::{self, Config};
use crate::migrations::Migrator;

mod faults;
mod laws;
mod steps;

/// Queues in a store of their own, and the hands of their clock.
pub(crate) struct Bench {
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) now: Arc<AtomicI64>,
    config: Config,
    home: Home,
}

enum Home {
    Database(Place, Store),
    Redis(Client, Held),
}

/// A Cluster has no databases: tests take turns, and begin with an empty one.
type Turn = MutexGuard<'static, ()>;

/// What a test keeps for as long as it uses its Redis.
#[derive(Default)]
struct Held {
    /// Its own, which it may kill.
    server: Option<Server>,
    _turn: Option<Turn>,
}

/// On the default kind of store.
pub(crate) async fn bench(config: Config) -> Bench {
    in_database(Place::sqlite(), config, start()).await
}

async fn postgres(config: Config) -> Option<Bench> {
    Some(in_database(Place::postgres()?, config, start()).await)
}

pub(crate) async fn redis(config: Config) -> Option<Bench> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    let url = SHARED.get_or_init(|| Server::start(Kind::Redis, &FAST)).as_ref()?.url();
    Some(in_redis(at(&format!("{url}/{}", next_database()), config), start(), Held::default()).await)
}

/// On a Redis of its own, which keeps what it acknowledges.
async fn durable_redis(config: Config) -> Option<Bench> {
    let server = Server::start(Kind::Redis, &[])?;
    let config = at(server.url(), config);
    Some(in_redis(config, start(), Held { server: Some(server), _turn: None }).await)
}

async fn sentinel(config: Config) -> Option<Bench> {
    static SHARED: OnceLock<Option<Group>> = OnceLock::new();
    let url = SHARED.get_or_init(|| Group::sentinel(&FAST)).as_ref()?.url();
    let url = url.replacen('?', &format!("/{}?", next_database()), 1);
    Some(in_redis(at(&url, config), start(), Held::default()).await)
}

async fn cluster(config: Config) -> Option<Bench> {
    static SHARED: OnceLock<Option<Group>> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let url = SHARED.get_or_init(|| Group::cluster(0, &FAST[..2])).as_ref()?.url();
    let bench = in_redis(at(url, config), start(), Held { _turn: Some(turn), server: None }).await;
    if let Home::Redis(client, _) = &bench.home {
        for node in client.cached_cluster_state().expect("a Cluster").unique_primary_nodes() {
            let flush = CustomCommand::new_static("FLUSHALL", None, false);
            client.with_cluster_node(node).custom::<(), ()>(flush, Vec::new()).await.expect("an empty node");
        }
    }
    Some(bench)
}

/// Without a file, for what is stored, not for what survives; with a database for each test.
const FAST: [&str; 4] = ["--appendonly", "no", "--databases", "10000"];

fn next_database() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn at(url: &str, config: Config) -> Config {
    let redis = config::Redis { url: Secret::new(url), ..config::Redis::default() };
    Config { redis, ..config }
}

/// One on each kind of store there is here.
async fn benches(config: Config) -> Vec<Bench> {
    let others = [
        postgres(config.clone()).await,
        redis(config.clone()).await,
        sentinel(config.clone()).await,
        cluster(config.clone()).await,
    ];
    [bench(config).await].into_iter().chain(others.into_iter().flatten()).collect()
}

fn start() -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(1_000_000_000))
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let hands = now.clone();
    Arc::new(move || hands.load(Ordering::SeqCst))
}

async fn in_database(place: Place, config: Config, now: Arc<AtomicI64>) -> Bench {
    let store = place.open::<Migrator>("queue").await;
    let messages = Arc::new(Sql::new(store.clone(), config.clone(), clock(&now)));
    Bench { messages, now, config, home: Home::Database(place, store) }
}

async fn in_redis(config: Config, now: Arc<AtomicI64>, held: Held) -> Bench {
    let redis = Redis::open(config.clone(), Some(clock(&now))).await.expect("a Redis");
    let home = Home::Redis(redis.client(), held);
    Bench { messages: Arc::new(redis), now, config, home }
}

/// What the disk holds while a database is open: what the next process finds if this one is killed now.
fn image(place: &Place) -> Place {
    let killed = Place::sqlite();
    for file in std::fs::read_dir(place.dir.path()).expect("a folder").flatten() {
        // The index of the log is for living processes; it is made anew.
        if !file.file_name().as_encoded_bytes().ends_with(b"-shm") {
            std::fs::copy(file.path(), killed.dir.path().join(file.file_name())).expect("a copy");
        }
    }
    killed
}

impl Bench {
    /// Takes the database away.
    pub(crate) async fn close(&self) {
        if let Home::Database(_, store) = &self.home {
            store.connection.close_by_ref().await.expect("closed");
        }
    }

    /// The same store, opened by the next process.
    async fn restarted(self) -> Self {
        self.close().await;
        self.reopened().await
    }

    /// The same store, opened by the next process after this one was killed, and with it its Redis.
    async fn crashed(mut self) -> Self {
        match &mut self.home {
            Home::Database(place, _) if place.config.url.expose().is_empty() => *place = image(place),
            Home::Redis(_, Held { server: Some(server), .. }) => {
                server.kill();
                server.restart();
            }
            Home::Database(..) | Home::Redis(..) => {}
        }
        self.reopened().await
    }

    async fn reopened(self) -> Self {
        match self.home {
            Home::Database(place, _) => in_database(place, self.config, self.now).await,
            Home::Redis(_, held) => in_redis(self.config, self.now, held).await,
        }
    }

    /// How many messages a queue holds, by the store's own count.
    async fn stored(&self, queue: &str) -> i64 {
        match &self.home {
            Home::Database(_, store) => {
                let row = queues::Entity::find_by_id(queue).one(&store.connection).await.expect("the queue");
                row.map_or(0, |queue| queue.stored)
            }
            Home::Redis(client, _) => ask(client, "HLEN", &format!("mq:{{{queue}}}:entries")).await,
        }
    }

    /// How many queues there are, by the store's own count.
    async fn queues(&self) -> i64 {
        match &self.home {
            Home::Database(_, store) => queues::Entity::find().count(&store.connection).await.expect("a count") as i64,
            Home::Redis(client, _) => ask(client, "ZCARD", "mq:{queues}:open").await,
        }
    }
}

async fn ask(client: &Client, command: &'static str, key: &str) -> i64 {
    client.custom(CustomCommand::new_static(command, None, false), vec![key]).await.expect("an answer")
}

fn body(number: usize) -> Body {
    Body::new(Some(&Value { kind: Some(ValueKind::NumberValue(number as f64)) })).expect("a body")
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
    for Bench { messages, now, .. } in benches(Config { queues_max: 2, ..Config::default() }).await {
        messages.push("a", body(1), None, 0).await.expect("the first queue");
        messages.push("b", body(2), None, 0).await.expect("the second");
        assert_eq!(code(messages.push("c", body(3), None, 0).await), Err(Code::ResourceExhausted));
        messages.push("a", body(4), None, 0).await.expect("a queue that is open");

        assert_eq!(messages.pop("b").await.expect("a pop").map(|message| message.body), Some(body(2).encoded));
        assert_eq!(messages.pop("b").await.expect("a pop"), None);
        now.fetch_add(60_000, Ordering::SeqCst);
        messages.sweep().await.expect("a sweep");
        messages.push("c", body(3), None, 0).await.expect("room after the sweep");
        assert_eq!(messages.count("a").await.expect("a count"), 2);
    }
}

#[tokio::test]
async fn a_sweep_takes_any_number_of_messages() {
    for bench in benches(Config { retention_ms: 60_000, ..Config::default() }).await {
        let (messages, now) = (&bench.messages, &bench.now);
        for number in 0..SWEEP_MAX + 1 {
            messages.push(["a", "b"][number % 2], body(number), None, 0).await.expect("room");
        }
        now.fetch_add(60_000, Ordering::SeqCst);
        assert_eq!(messages.sweep().await.expect("a sweep"), SWEEP_MAX as u64 + 1);
        assert_eq!(bench.queues().await, 0);
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_swept_keeps_no_other_from_it() {
    let Some(bench) = redis(Config { retention_ms: 60_000, ..Config::default() }).await else { return };
    let Home::Redis(client, _) = &bench.home else { panic!("it is Redis") };
    for queue in 0..10 {
        bench.messages.push(&queue.to_string(), body(1), None, 0).await.expect("room");
    }
    for queue in [3, 7] {
        let broken = vec![format!("mq:{{{queue}}}:settled"), "no set".to_owned()];
        client.custom::<(), _>(CustomCommand::new_static("SET", None, false), broken).await.expect("broken");
    }
    bench.now.fetch_add(60_000, Ordering::SeqCst);
    let error = Status::from(bench.messages.sweep().await.expect_err("two are broken"));
    assert_eq!((error.code(), bench.queues().await), (Code::Internal, 2));
}

/// A table that is read from end to end, once a minute or for each message, is no table for a busy queue.
#[tokio::test]
async fn what_is_ready_and_what_is_old_is_found_by_indexes_and_nothing_else_is_looked_at() {
    let bench = bench(Config::default()).await;
    let Home::Database(_, store) = &bench.home else { panic!("the default is SQLite") };
    let by = "queue=? AND is_final=? AND arrived=?";
    let queries = [
        (longest_visible(Condition::all().add(VisibleMs.lte(0)), 100).into_query().to_owned(), "visible_ms<?".into()),
        (keys::Entity::find().filter(keys::Column::PushedMs.lte(0)).into_query(), "pushed_ms<?".into()),
        (acks::Entity::find().filter(acks::Column::AckedMs.lte(0)).into_query(), "acked_ms<?".into()),
        (places(ready("q", 0), 1).into_query().to_owned(), format!("{by} AND visible_ms<?")),
        (longest_visible(arriving("q", false, 0), 1).into_query().to_owned(), format!("{by} AND visible_ms<?")),
        (oldest(arrived("q", false), 1).into_query().to_owned(), by.to_owned()),
    ];
    // Each query is also run, on the same connection: an explanation alone goes by the schema that the connection saw last,
    // which may be that before the indexes were made.
    let connection = store.begin().await.expect("a connection");
    for (query, found_by) in queries {
        let sql = query.to_string(sea_orm::sea_query::SqliteQueryBuilder);
        let ask = |sql: String| connection.query_all_raw(Statement::from_string(DatabaseBackend::Sqlite, sql));
        ask(sql.clone()).await.expect("no rows");
        let plan = ask(format!("EXPLAIN QUERY PLAN {sql}")).await;
        let detail = |row: sea_orm::QueryResult| row.try_get::<String>("", "detail").expect("a step");
        let steps: Vec<String> = plan.expect("a plan").into_iter().map(detail).collect();
        assert!(steps.len() == 1 && steps[0].ends_with(&format!("({found_by})")), "{steps:?}");
    }
}

/// gRPC clients take 4 MiB. Messages leased in an answer that does not arrive would die without having been seen.
#[tokio::test]
async fn what_is_received_or_listed_at_once_fits_into_one_answer() {
    let config = Config { message_bytes_max: 1 << 20, receives_max: 1, ..Config::default() };
    for Bench { messages, now, .. } in benches(config).await {
        let big =
            || Body::new(Some(&Value { kind: Some(ValueKind::StringValue("x".repeat(1_000_000))) })).expect("a body");
        for _ in 0..5 {
            messages.push("q", big(), None, 0).await.expect("room");
        }
        assert_eq!(messages.receive("q", 10, 1_000).await.expect("leases").len(), BYTES_MAX / 1_000_000);
        assert_eq!(messages.receive("q", 10, 1_000).await.expect("leases").len(), 2, "the others are still there");
        now.fetch_add(1_000, Ordering::SeqCst);
        let letters = messages.dead_letters("q", 0, 10).await.expect("dead letters");
        assert_eq!(letters.len(), BYTES_MAX / 1_000_000 + 1, "one more, by which a page is known not to be the last");
    }
}

#[tokio::test]
async fn an_answer_repeats_no_more_of_a_request_than_a_header_can_carry() {
    for Bench { messages, .. } in benches(Config::default()).await {
        let unknown = Delivery { queue: "q".into(), id: "x".repeat(100_000), receipt: "x".into() };
        let status = Status::from(messages.ack(&unknown).await.expect_err("stale"));
        assert!(status.message().len() < 300, "{} bytes", status.message().len());
    }
}

#[tokio::test]
async fn a_key_is_known_in_its_own_queue_only() {
    for Bench { messages, .. } in benches(Config::default()).await {
        let first = messages.push("a", body(1), Some("k"), 0).await.expect("a message");
        assert_eq!(messages.push("a", body(1), Some("k"), 0).await.expect("the same"), first);
        assert_ne!(messages.push("b", body(2), Some("k"), 0).await.expect("another"), first);
    }
}

#[tokio::test]
async fn a_queue_remembers_so_many_keys_and_refuses_more_of_them() {
    for bench in benches(Config { keys_max: 2, ..Config::default() }).await {
        let (messages, now) = (&bench.messages, &bench.now);
        let push = async |queue, key| code(messages.push(queue, body(1), key, 0).await);
        let (first, _) = (push("q", Some("1")).await, push("q", Some("2")).await.expect("room"));
        assert_eq!(push("q", Some("3")).await, Err(Code::ResourceExhausted));
        assert_eq!(bench.stored("q").await, 2, "nothing is stored");
        assert_eq!(push("q", Some("1")).await, first, "what is known is answered");
        push("q", None).await.expect("no key, no limit");
        push("other", Some("3")).await.expect("room of its own");

        now.fetch_add(KEY_MS, Ordering::SeqCst);
        assert_ne!(push("q", Some("1")).await, first, "it comes anew, in its old place");
        messages.sweep().await.expect("a sweep");
        push("q", Some("3")).await.expect("room after the sweep");
        assert_eq!(push("q", Some("4")).await, Err(Code::ResourceExhausted));
    }
}

#[tokio::test]
async fn a_receipt_is_known_for_ten_minutes_and_a_key_for_a_day() {
    for Bench { messages, now, .. } in benches(Config::default()).await {
        let first = messages.push("q", body(1), Some("k"), 0).await.expect("room");
        let held = delivery(&messages.receive("q", 1, 1_000).await.expect("a lease")[0]);
        let start = now.load(Ordering::SeqCst);
        for (time, expected) in [(0, Ok(())), (TOMBSTONE_MS - 1, Ok(())), (TOMBSTONE_MS, Err(Code::FailedPrecondition))]
        {
            now.store(start + time, Ordering::SeqCst);
            assert_eq!(code(messages.ack(&held).await), expected, "after {time} ms");
        }
        for (time, same) in [(KEY_MS - 1, true), (KEY_MS, false)] {
            now.store(start + time, Ordering::SeqCst);
            let id = messages.push("q", body(1), Some("k"), 0).await.expect("room");
            assert_eq!(id == first, same, "after {time} ms");
        }
    }
}

#[tokio::test]
async fn messages_and_leases_survive_a_restart() {
    for bench in benches(Config::default()).await {
        let messages = &bench.messages;
        for number in 0..2 {
            messages.push("q", body(number), None, 0).await.expect("room");
        }
        let held = messages.receive("q", 1, 1_000).await.expect("a lease").pop().expect("a message");
        let bench = bench.restarted().await;
        let messages = &bench.messages;
        assert_eq!(messages.pop("q").await.expect("a pop").map(|message| message.body), Some(body(1).encoded));
        messages.ack(&delivery(&held)).await.expect("the lease still holds");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_producers_and_consumers_lose_nothing_and_get_nothing_twice() {
    const WORKERS: usize = 4;
    const EACH: usize = 25;
    // The clock stands still: every lease holds to the end.
    for Bench { messages, .. } in benches(Config::default()).await {
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pushes_at_once_fill_a_queue_to_its_limit_and_pops_at_once_empty_it() {
    for Bench { messages, .. } in benches(Config { messages_max: 5, ..Config::default() }).await {
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_pushed_many_times_at_once_is_one_message() {
    for Bench { messages, .. } in benches(Config::default()).await {
        let mut pushes = JoinSet::new();
        for _ in 0..20 {
            let messages = messages.clone();
            pushes.spawn(async move { messages.push("q", body(1), Some("key"), 0).await.expect("an id") });
        }
        let ids = gather(pushes).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(messages.count("q").await.expect("a count"), 1);
    }
}

#[tokio::test]
async fn a_key_that_is_swept_while_it_is_asked_for_is_to_be_tried_again() {
    let bench = bench(Config::default()).await;
    let Home::Database(_, store) = &bench.home else { panic!("the default is SQLite") };
    // As after a sweep: not inserted, and not there to be read either.
    let gone = "CREATE TRIGGER gone BEFORE INSERT ON keys BEGIN SELECT RAISE(IGNORE); END";
    store.connection.execute_unprepared(gone).await.expect("a trigger");
    assert_eq!(code(bench.messages.push("q", body(1), Some("key"), 0).await), Err(Code::Unavailable));
    assert_eq!(bench.messages.count("q").await.expect("a count"), 0);
}
