//! Processes killed under load: what was acknowledged is there, once.
//!
//! Each test is a row of the table that `make soak` prints; `make test` runs a few rounds of it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use malla_servers::checker::{Checker, Verdict};
use malla_servers::proxy::Proxy;
use malla_servers::soak::{report, rounds};
use malla_servers::{Kind, Server};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::{Lane, Mesh, Topology, between, outcome};

fn queue(rpc: &str) -> String {
    format!("malla.queue.v1.QueueService/{rpc}")
}

/// Messages pushed and received by many while what is behind them comes and goes.
#[derive(Default)]
struct Traffic {
    checker: Mutex<Checker>,
    pushed: AtomicUsize,
    over: AtomicBool,
}

impl Traffic {
    /// 8 producers and 4 consumers.
    fn start(user: &Lane) -> (Arc<Self>, JoinSet<()>) {
        let (traffic, mut tasks) = (Arc::<Self>::default(), JoinSet::new());
        for producer in 0..8 {
            tasks.spawn(traffic.clone().produce(user.clone(), producer));
        }
        for _ in 0..4 {
            tasks.spawn(traffic.clone().consume(user.clone()));
        }
        (traffic, tasks)
    }

    /// Waits until a message is taken again, and returns how long that took in all.
    async fn flows(&self, since: Instant) -> Duration {
        let before = self.pushed.load(Ordering::Relaxed);
        while self.pushed.load(Ordering::Relaxed) == before {
            assert!(since.elapsed() < Duration::from_secs(20), "it takes messages again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        since.elapsed()
    }

    /// Drains, and counts.
    async fn end(&self, tasks: JoinSet<()>) -> Verdict {
        self.over.store(true, Ordering::Relaxed);
        tasks.join_all().await;
        self.checker.lock().unwrap().verdict()
    }

    async fn produce(self: Arc<Self>, user: Lane, producer: usize) {
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("{producer}-{number}");
            let ended = user.call_or_lose(&queue("Push"), json!({"queue": "jobs", "body": name})).await;
            if matches!(ended, Some(Ok(_))) {
                self.pushed.fetch_add(1, Ordering::Relaxed);
            }
            self.checker.lock().unwrap().attempted(name, outcome(&ended));
        }
    }

    /// Takes messages until told otherwise, or until none has come for a while. A message counts when its
    /// acknowledgement does.
    async fn consume(self: Arc<Self>, user: Lane) {
        loop {
            let over = self.over.load(Ordering::Relaxed);
            let wait_ms = if over { 3_000 } else { 200 };
            let request = json!({"queue": "jobs", "max_messages": 10, "visibility_ms": 2_000, "wait_ms": wait_ms});
            let Some(Ok(received)) = user.call_or_lose(&queue("Receive"), request).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let messages = received["messages"].as_array().unwrap();
            if messages.is_empty() && over {
                return;
            }
            for message in messages {
                if acknowledged(&user, message).await {
                    self.checker.lock().unwrap().seen(message["body"].as_str().unwrap());
                }
            }
        }
    }
}

/// Asks until it is known: an acknowledgement may be repeated, and one whose answer was lost may have been carried out.
async fn acknowledged(user: &Lane, message: &Value) -> bool {
    loop {
        let request = json!({"queue": "jobs", "id": message["id"], "receipt": message["receipt"]});
        match user.call_or_lose(&queue("Ack"), request).await {
            Some(Ok(_)) => return true,
            Some(Err(failure)) if failure.code == Code::FailedPrecondition => return false,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn queue_service_dies(store: &str, settings: &[(&str, &str)]) {
    let mut rounds = rounds(7);
    let mut mesh = Mesh::start_with(Topology::ProcessPerService, settings).await;
    let user = Lane::grpc(&mesh).await.user("worker").await;
    let (traffic, tasks) = Traffic::start(&user);
    let mut slowest = Duration::ZERO;
    for _ in rounds.by_ref() {
        tokio::time::sleep(between(50, 500)).await;
        mesh.kill("queue").await;
        let killed = Instant::now();
        mesh.restart("queue").await;
        slowest = slowest.max(traffic.flows(killed).await);
    }
    let verdict = traffic.end(tasks).await;
    report(
        1,
        &format!("queue service killed, on {store}"),
        format_args!("{verdict}; back in {slowest:.1?} at most; {}", rounds.bound()),
    );
    assert!(verdict.acked > rounds.made(), "{verdict}");
    assert_eq!((verdict.lost, verdict.unexpected), (0, 0), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_queue_service_dies_on_sqlite() {
    queue_service_dies("SQLite", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_queue_service_dies_on_postgres() {
    let Some(server) = Server::start(Kind::Postgres, &[]) else { return };
    queue_service_dies("PostgreSQL", &[("QUEUE__DATABASE__URL", server.url())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_queue_service_dies_on_redis() {
    let Some(server) = Server::start(Kind::Redis, &[]) else { return };
    queue_service_dies("Redis", &[("QUEUE__REDIS__URL", server.url())]).await;
}

/// Password and address of a Redis: `redis://:password@host:port`.
fn password_and_address(server: &Server) -> (&str, &str) {
    server.url().strip_prefix("redis://:").and_then(|rest| rest.split_once('@')).unwrap()
}

fn redis_cli(server: &Server, password: &str, arguments: &[&str]) -> String {
    let (_, port) = server.url().rsplit_once(':').unwrap();
    let mut command = Command::new("redis-cli");
    command.args(["-e", "-p", port]).args(arguments).env("REDISCLI_AUTH", password);
    let output = command.output().expect("redis-cli runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// Waits until a Redis says so about itself.
async fn says(server: &Server, password: &str, section: &str, line: &str) {
    let start = Instant::now();
    while !redis_cli(server, password, &["INFO", section]).contains(line) {
        assert!(start.elapsed() < Duration::from_secs(20), "{line}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes a Redis the replica of another, under the password of both.
async fn follow(replica: &Server, primary: &Server, password: &str) {
    let (own, _) = password_and_address(replica);
    redis_cli(replica, own, &["CONFIG", "SET", "masterauth", password, "requirepass", password]);
    let (_, port) = primary.url().rsplit_once(':').unwrap();
    redis_cli(replica, password, &["REPLICAOF", "127.0.0.1", port]);
    says(replica, password, "replication", "master_link_status:up").await;
}

/// The primary is killed and its replica takes its place, again and again: a push waits for the replica, so it is there.
#[tokio::test(flavor = "multi_thread")]
async fn row_05_redis_fails_over() {
    let Some(mut primary) = Server::start(Kind::Redis, &[]) else { return };
    let Some(mut replica) = Server::start(Kind::Redis, &[]) else { return };
    let mut rounds = rounds(3);
    let (password, address) = password_and_address(&primary);
    let (password, proxy) = (password.to_owned(), Proxy::start(address, 5).await);
    follow(&replica, &primary, &password).await;
    let url = format!("redis://:{password}@{}", proxy.address());
    let mesh = Mesh::start_with(Topology::ProcessPerService, &[("QUEUE__REDIS__URL", &url)]).await;
    let (traffic, tasks) = Traffic::start(&Lane::grpc(&mesh).await.user("worker").await);
    let mut slowest = Duration::ZERO;
    for _ in rounds.by_ref() {
        // The queue knows that there is a replica.
        says(&primary, &password, "commandstats", "cmdstat_wait:").await;
        tokio::time::sleep(between(50, 500)).await;
        let killed = Instant::now();
        primary.kill();
        redis_cli(&replica, &password, &["REPLICAOF", "NO", "ONE"]);
        proxy.retarget(password_and_address(&replica).1);
        proxy.reset();
        slowest = slowest.max(traffic.flows(killed).await);
        primary.restart();
        follow(&primary, &replica, &password).await;
        std::mem::swap(&mut primary, &mut replica);
    }
    let verdict = traffic.end(tasks).await;
    let back = format_args!("{verdict}; back in {slowest:.1?} at most; {}", rounds.bound());
    report(5, "Redis primary killed, replica promoted", back);
    assert!(verdict.acked > rounds.made(), "{verdict}");
    assert_eq!((verdict.lost, verdict.unexpected), (0, 0), "{verdict}");
}

/// Pushes a message and takes messages until it comes; returns how long that took, and how often poison came too: its
/// consumer dies of it, and answers nothing.
async fn pushed_and_received(user: &Lane, number: usize) -> (Duration, usize) {
    let (start, name, mut deaths) = (Instant::now(), json!(number.to_string()), 0);
    user.call(&queue("Push"), json!({"queue": "jobs", "body": name})).await.unwrap();
    loop {
        let request = json!({"queue": "jobs", "max_messages": 1, "visibility_ms": 1_000, "wait_ms": 1_000});
        let received = user.call(&queue("Receive"), request).await.unwrap();
        for message in received["messages"].as_array().unwrap() {
            if message["body"] == "poison" {
                deaths += 1;
            } else {
                assert!(acknowledged(user, message).await && message["body"] == name, "{message}");
                return (start.elapsed(), deaths);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_09_a_message_kills_all_its_consumers() {
    const NEIGHBOURS: usize = 100;
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    let user = Lane::grpc(&mesh).await.user("worker").await;
    let (mut before, mut beside, mut deaths) = (Vec::new(), Vec::new(), 0);
    for number in 0..NEIGHBOURS {
        before.push(pushed_and_received(&user, number).await.0);
    }
    user.call(&queue("Push"), json!({"queue": "jobs", "body": "poison"})).await.unwrap();
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(30), "it is never given up, after {deaths} deaths");
        let (took, died) = pushed_and_received(&user, beside.len()).await;
        beside.push(took);
        deaths += died;
        let stats = user.call(&queue("GetStats"), json!({"queue": "jobs"})).await.unwrap();
        if stats["dead"] == 1 {
            break;
        }
    }
    let [before, after] = [&mut before, &mut beside].map(|times| {
        times.sort_unstable();
        times[times.len() * 99 / 100]
    });
    report(
        9,
        "poison message, over the wire",
        format_args!("dead after {deaths} deliveries; p99 of neighbours {before:.1?} before, {after:.1?} beside it"),
    );
    assert_eq!(deaths, 5);
    assert!(after <= 2 * before.max(Duration::from_millis(250)), "{before:?} before, {after:?} beside it");
}
