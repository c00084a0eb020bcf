use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use malla_runtime::config::Secret;
use malla_servers::group::Group;
use malla_servers::{Kind, Server};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;
use crate::database::Scope;
use crate::testing::Place;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

/// A store whose reads are slow and counted, and the replicas in front of it.
struct Bench {
    store: Store,
    _place: Place,
    stored: Arc<AtomicUsize>,
    loads: AtomicUsize,
    /// Told when a load has read.
    read: Notify,
    replicas: Vec<Cache<usize>>,
}

async fn bench(url: &str) -> Bench {
    bench_with(url, 2_000).await
}

async fn bench_with(url: &str, command_ms: u64) -> Bench {
    let redis = Config { url: Secret::new(url), command_ms, ..Config::default() };
    let replica = || Cache::new("test", 100, Duration::from_secs(60), &redis).expect("a cache");
    let replicas = vec![replica(), replica()];
    let place = Place::sqlite();
    let store = place.open::<Migrator>("test").await;
    let (stored, loads, read) = (Arc::new(AtomicUsize::new(1)), AtomicUsize::new(0), Notify::new());
    let bench = Bench { store, _place: place, stored, loads, read, replicas };
    for redis in bench.replicas.iter().filter_map(|replica| Some(&replica.shared.as_ref()?.redis)) {
        timeout(Duration::from_secs(5), async {
            while redis.present().is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("connected");
    }
    bench
}

impl Bench {
    async fn get(&self, replica: usize) -> usize {
        let load = async {
            self.loads.fetch_add(1, Ordering::SeqCst);
            let value = self.stored.load(Ordering::SeqCst);
            self.read.notify_waiters();
            sleep(Duration::from_millis(50)).await;
            Ok::<_, Infallible>(value)
        };
        self.replicas[replica].get("k", load).await.expect("a value").0
    }

    /// Changes what is stored, through the first replica.
    async fn change(&self, value: usize) {
        let stored = self.stored.clone();
        self.replicas[0].change(&self.store, "k", async move { stored.store(value, Ordering::SeqCst) }).await;
    }
}

#[tokio::test]
async fn simultaneous_misses_load_once_and_a_change_shows() {
    let Some(server) = Server::start(Kind::Redis, &[]) else { return };
    load_once(&bench(server.url()).await).await;
    changes_show(&bench(&format!("{}/1", server.url())).await).await;
}

#[tokio::test]
async fn in_a_cluster_too() {
    let Some(group) = Group::cluster(0, &[]) else { return };
    let bench = bench(group.url()).await;
    load_once(&bench).await;
    bench.replicas[0].change(&bench.store, "k", async {}).await;
    bench.replicas[1].forget_local();
    bench.loads.store(0, Ordering::SeqCst);
    changes_show(&bench).await;
}

#[tokio::test]
async fn under_sentinels_too() {
    let Some(group) = Group::sentinel(&[]) else { return };
    let database = |number| group.url().replacen('?', &format!("/{number}?"), 1);
    load_once(&bench(&database(1)).await).await;
    changes_show(&bench(&database(2)).await).await;
}

async fn load_once(bench: &Bench) {
    let gets = (0..40).map(|number| bench.get(number % 2));
    assert_eq!(futures_util::future::join_all(gets).await, vec![1; 40]);
    assert_eq!(bench.loads.load(Ordering::SeqCst), 1);
}

/// At once here and soon there, and no older load undoes it.
async fn changes_show(bench: &Bench) {
    // The other replica is loading what was there before.
    let change = async {
        bench.read.notified().await;
        bench.change(2).await;
    };
    let ((), before) = tokio::join!(change, bench.get(1));
    assert_eq!((before, bench.get(0).await), (1, 2));
    sleep(LOCAL_TTL + Duration::from_millis(50)).await;
    assert_eq!(bench.get(1).await, 2);
    assert_eq!(bench.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_a_keyed_call_changes_is_cached_by_nobody_as_it_was_once_it_is_committed() {
    let Some(server) = Server::start(Kind::Redis, &[]) else { return };
    let bench = bench(server.url()).await;
    let scope = Scope::new(&bench.store.connection);
    scope.run(bench.replicas[0].change(&bench.store, "k", async {})).await;
    assert!(timeout(Duration::from_millis(100), bench.get(0)).await.is_err(), "it waits for the end of the call");
    assert_eq!(bench.get(1).await, 1, "nothing is committed");

    bench.stored.store(2, Ordering::SeqCst);
    let (_, afterwards) = scope.end().await.expect("the end");
    for work in afterwards {
        work.await;
    }
    assert_eq!(bench.get(0).await, 2);
    bench.replicas[1].forget_local();
    assert_eq!(bench.get(1).await, 2);
}

#[tokio::test]
async fn without_its_redis_answers_are_right_and_quick() {
    let Some(mut server) = Server::start(Kind::Redis, &[]) else { return };
    let bench = bench_with(server.url(), 100).await;
    assert_eq!(bench.get(0).await, 1);
    for signal in ["STOP", "KILL"] {
        if signal == "KILL" {
            server.kill()
        } else {
            server.signal(signal)
        }
        for value in [10, 11, 12] {
            let asked = Instant::now();
            bench.change(value).await;
            assert_eq!(bench.get(0).await, value);
            // Six commands that time out would take longer than that, were each sent.
            assert!(asked.elapsed() < Duration::from_secs(2), "{signal}: {:?}", asked.elapsed());
        }
    }
}

#[tokio::test]
async fn a_change_whose_caller_leaves_goes_to_its_end_and_nobody_caches_what_was_there_before() {
    let bench = bench("").await;
    let (stored, begun, go_on) = (bench.stored.clone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (write_begun, write_goes_on) = (begun.clone(), go_on.clone());
    let write = async move {
        write_begun.notify_one();
        write_goes_on.notified().await;
        stored.store(2, Ordering::SeqCst);
    };
    tokio::select! {
        () = bench.replicas[0].change(&bench.store, "k", write) => panic!("it goes on"),
        () = begun.notified() => {}
    }
    let (read, ()) = tokio::join!(bench.get(0), async { go_on.notify_one() });
    assert_eq!((read, bench.get(0).await), (2, 2));
}
