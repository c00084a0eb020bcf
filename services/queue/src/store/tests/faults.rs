//! What servers do to the queue when they are killed, stopped or slow, and consumers when they are late.

use std::time::{Duration, Instant};

use fred::interfaces::FunctionInterface as _;
use fred::types::InfoKind;
use malla_servers::checker::{Checker, Outcome, Verdict};
use malla_servers::soak;
use tokio::time::sleep;

use super::*;

const PRODUCERS: usize = 8;
const CONSUMERS: usize = 4;

/// A queue on this Redis, with the server's own clock.
async fn on(
    server: &Server,
    command_ms: u64,
    require_durable: bool,
) -> Result<Arc<Redis>, malla_storage::redis::Error> {
    let url = Secret::new(server.url());
    with(config::Redis { url, command_ms, require_durable, ..config::Redis::default() }).await
}

async fn with(redis: config::Redis) -> Result<Arc<Redis>, malla_storage::redis::Error> {
    Redis::open(Config { redis, ..Config::default() }, None).await.map(Arc::new)
}

/// Pushes and takes away until something has happened to the server and it is back, within this time: how long it took.
/// Everybody is through by then.
async fn round(
    queue: &Arc<Redis>,
    happens: impl FnOnce(),
    limit: Duration,
    round: usize,
    checker: &mut Checker,
) -> Duration {
    let (mut producers, mut consumers) = (JoinSet::new(), JoinSet::new());
    let stop = Arc::new(AtomicI64::new(0));
    for producer in 0..PRODUCERS {
        let (queue, stop) = (queue.clone(), stop.clone());
        producers.spawn(async move {
            let mut attempts = Vec::new();
            while stop.load(Ordering::SeqCst) == 0 {
                let number = (round * PRODUCERS + producer) * 1_000_000 + attempts.len();
                match queue.push("q", body(number), None, 0).await {
                    Ok(_) => attempts.push((number, Outcome::Ok)),
                    Err(error) => {
                        let cause = format!("{error:?}");
                        assert_eq!(Status::from(error).code(), Code::Unavailable, "{cause}");
                        attempts.push((number, Outcome::Unknown));
                        sleep(Duration::from_millis(10)).await;
                    }
                }
            }
            attempts
        });
    }
    for _ in 0..CONSUMERS {
        let (queue, stop) = (queue.clone(), stop.clone());
        consumers.spawn(async move {
            let mut seen = Vec::new();
            while stop.load(Ordering::SeqCst) == 0 {
                for message in queue.receive("q", 3, 1_000).await.unwrap_or_default() {
                    // Its effect comes before the acknowledgement; a second delivery is known by the id.
                    seen.push(message.body.clone());
                    let _ = queue.ack(&delivery(&message)).await;
                }
                sleep(Duration::from_millis(5)).await;
            }
            seen
        });
    }
    sleep(Duration::from_millis(50 + (round as u64 * 97) % 250)).await;
    happens();
    let away = Instant::now();
    // The first of them may have gone to a server that did not know yet.
    while queue.count("q").await.is_err() {
        assert!(away.elapsed() < limit, "it does not connect again");
        sleep(Duration::from_millis(10)).await;
    }
    let took = away.elapsed();
    stop.store(1, Ordering::SeqCst);
    for (number, outcome) in gather(producers).await.concat() {
        checker.attempted(format!("{:?}", body(number).encoded), outcome);
    }
    gather(consumers).await.concat().into_iter().for_each(|body| checker.seen(format!("{body:?}")));
    took
}

/// Takes out what is left, leases that end included.
async fn drain(queue: &Redis, checker: &mut Checker) {
    let start = Instant::now();
    while queue.stats("q").await.expect("stats") != Stats::default() {
        assert!(start.elapsed() < Duration::from_secs(120), "it is not drained");
        let messages = queue.receive("q", 10, 10_000).await.expect("leases");
        messages.iter().for_each(|message| checker.seen(format!("{:?}", message.body)));
        let deliveries: Vec<_> = messages.iter().map(delivery).collect();
        for acked in futures_util::future::join_all(deliveries.iter().map(|held| queue.ack(held))).await {
            acked.expect("the lease holds");
        }
        for letter in queue.dead_letters("q", 0, 100).await.expect("dead letters") {
            checker.seen(format!("{:?}", letter.body));
        }
        queue.redrive("q").await.expect("a redrive");
    }
}

async fn killed(server: &mut Server, rounds: &mut soak::Rounds) -> (Verdict, Durability) {
    let queue = on(server, 2_000, false).await.expect("a Redis");
    let mut checker = Checker::default();
    for number in rounds {
        let happens = || {
            server.kill();
            server.restart();
        };
        round(&queue, happens, Duration::from_secs(2), number, &mut checker).await;
    }
    drain(&queue, &mut checker).await;
    (checker.verdict(), queue.durability())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_02_a_durable_redis_killed_loses_nothing_that_was_acknowledged() {
    let Some(mut server) = Server::start(Kind::Redis, &[]) else { return };
    on(&server, 2_000, true).await.expect("durable enough");
    let mut rounds = soak::rounds(20);
    let (verdict, durability) = killed(&mut server, &mut rounds).await;
    soak::report(2, "Redis killed, durable", format_args!("{verdict}; {}", rounds.bound()));
    assert_eq!(durability, Durability::Durable);
    assert!(verdict.acked > 0 && (verdict.lost, verdict.unexpected) == (0, 0), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_03_a_relaxed_redis_says_so_and_may_be_refused() {
    let Some(mut server) = Server::start(Kind::Redis, &["--appendfsync", "everysec"]) else { return };
    let refused = on(&server, 2_000, true).await.err().expect("not durable enough").to_string();
    assert!(refused.contains("require_durable"), "{refused}");
    let mut rounds = soak::rounds(3);
    let (verdict, durability) = killed(&mut server, &mut rounds).await;
    soak::report(3, "Redis killed, relaxed", format_args!("{verdict}; {} rounds", rounds.made()));
    assert_eq!(durability, Durability::Relaxed);
    assert_eq!(verdict.unexpected, 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_04_a_redis_that_stalls_is_answered_for_in_time() {
    let Some(server) = Server::start(Kind::Redis, &["--enable-debug-command", "local"]) else { return };
    let command = Duration::from_millis(500);
    // Far longer than a command may take: a machine that is busy is no server that has come back.
    let stalls = Duration::from_secs(5);
    let queue = on(&server, command.as_millis() as u64, false).await.expect("a Redis");
    let observer = on(&server, 50, false).await.expect("a Redis");
    for (stall, arguments) in
        [("CLIENT", vec!["PAUSE", "5000", "ALL"]), ("DEBUG", vec!["SLEEP", "5"]), ("STOP", vec![])]
    {
        queue.push("q", body(1), None, 0).await.expect("room");
        let stalled = Instant::now();
        if stall == "STOP" {
            server.signal("STOP");
        } else {
            let client = queue.client();
            let command = CustomCommand::new_static(stall, None, false);
            tokio::spawn(async move { client.custom::<(), _>(command, arguments).await });
        }
        // It begins when the server reads it.
        while observer.check().await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
        let mut calls = JoinSet::new();
        for number in 0..20 {
            let queue = queue.clone();
            calls.spawn(async move {
                let asked = Instant::now();
                let result = code(queue.push("q", body(number), None, 0).await);
                (result.expect_err("no answer"), asked.elapsed())
            });
        }
        for (code, took) in gather(calls).await {
            assert_eq!(code, Code::Unavailable);
            assert!(took < stalls - Duration::from_secs(1), "{stall}: {took:?}");
        }
        if stall == "STOP" {
            server.signal("CONT");
        } else {
            sleep(stalls.saturating_sub(stalled.elapsed())).await;
        }
        let over = Instant::now();
        while queue.check().await.is_err() || observer.check().await.is_err() {
            assert!(over.elapsed() < Duration::from_secs(5), "{stall}: it does not work again");
            sleep(Duration::from_millis(10)).await;
        }
        let pushed_before = queue.count("q").await.expect("a count");
        assert!(pushed_before >= 1, "{stall}: lost");
        while queue.pop("q").await.expect("a pop").is_some() {}
        soak::report(4, &format!("Redis stalls ({stall})"), format_args!("works again after {:?}", over.elapsed()));
    }
}

async fn report(row: u32, fault: &str, messages: &Arc<dyn Messages>, measured: &str) {
    let store = messages.check().await.expect("a store");
    soak::report(row, &format!("{fault}, on {store}"), measured);
}

#[tokio::test]
async fn row_09_what_kills_its_consumer_is_dead_after_five_and_harms_no_neighbour() {
    for Bench { messages, now, .. } in benches(Config::default()).await {
        let poison = messages.push("q", body(0), None, 0).await.expect("room");
        let mut deliveries = 0;
        for number in 1..20 {
            let neighbour = messages.push("q", body(number), None, 0).await.expect("room");
            for message in messages.receive("q", 2, 1_000).await.expect("leases") {
                // The consumer of the poison dies before it can answer.
                if message.id == poison {
                    deliveries += 1;
                } else {
                    assert_eq!(message.id, neighbour);
                    messages.ack(&delivery(&message)).await.expect("the lease holds");
                }
            }
            now.fetch_add(1_000, Ordering::SeqCst);
        }
        assert_eq!(deliveries, 5);
        let letters = messages.dead_letters("q", 0, 10).await.expect("dead letters");
        assert_eq!(
            letters.iter().map(|letter| (&letter.id, &letter.body)).collect::<Vec<_>>(),
            [(&poison, &body(0).encoded)]
        );
        report(9, "poison message", &messages, "dead after 5 deliveries, all neighbours acked").await;
    }
}

#[tokio::test]
async fn row_10_the_acknowledgement_of_a_lease_that_has_ended_is_refused() {
    for Bench { messages, now, .. } in benches(Config::default()).await {
        for number in 0..100 {
            messages.push("q", body(number), None, 0).await.expect("room");
            let late = delivery(&messages.receive("q", 1, 1_000).await.expect("a lease")[0]);
            now.fetch_add(1_000, Ordering::SeqCst);
            let held = delivery(&messages.receive("q", 1, 1_000).await.expect("a lease")[0]);
            assert_eq!(code(messages.ack(&late).await), Err(Code::FailedPrecondition));
            messages.ack(&held).await.expect("the lease holds");
        }
        assert_eq!(messages.stats("q").await.expect("stats"), Stats::default());
        report(10, "late acknowledgement", &messages, "100 of 100 refused, each redelivered and acked").await;
    }
}

#[tokio::test]
async fn row_27_a_clock_that_jumps_ends_leases_early_or_late_and_loses_nothing() {
    const HOUR: i64 = 3_600_000;
    for jump in [HOUR, -HOUR] {
        for Bench { messages, now, .. } in benches(Config::default()).await {
            let pushed = messages.push("q", body(1), None, 0).await.expect("room");
            let held = delivery(&messages.receive("q", 1, 1_000).await.expect("a lease")[0]);
            now.fetch_add(jump, Ordering::SeqCst);
            messages.sweep().await.expect("a sweep");
            let stats = messages.stats("q").await.expect("stats");
            let sum = stats.ready + stats.delayed + stats.leased;
            assert_eq!((sum, stats.ready), (1, i64::from(jump > 0)));
            let acked = code(messages.ack(&held).await);
            if jump > 0 {
                assert_eq!(acked, Err(Code::FailedPrecondition));
                assert_eq!(messages.receive("q", 1, 1_000).await.expect("a lease")[0].id, pushed);
            } else {
                assert_eq!(acked, Ok(()));
            }
            report(27, &format!("clock jumps {:+} h", jump / HOUR), &messages, "0 lost").await;
        }
    }
}

/// The primary that has the queue is killed, again and again, and its replica put in its place by those who watch: a push
/// waits for the replica, so it is there.
async fn fails_over(kind: &str, mut group: Group) {
    let (mut rounds, mut checker, mut slowest) = (soak::rounds(2), Checker::default(), Duration::ZERO);
    let queue =
        with(config::Redis { url: Secret::new(group.url()), ..config::Redis::default() }).await.expect("a Redis");
    for number in &mut rounds {
        let known = Instant::now();
        while queue.replicas("q") == 0 {
            assert!(known.elapsed() < Duration::from_secs(5), "the queue does not see the replica");
            sleep(Duration::from_millis(10)).await;
        }
        let primary = group.primary("mq:{q}:meta").expect("a primary");
        let nodes = &mut group.nodes;
        let took = round(&queue, || nodes[primary].kill(), Duration::from_secs(20), number, &mut checker).await;
        slowest = slowest.max(took);
        assert_eq!(queue.replicas("q"), 0, "the one that was promoted has none, and goes on");
        group.rejoin(primary);
    }
    drain(&queue, &mut checker).await;
    let verdict = checker.verdict();
    let measured = format_args!("{verdict}; back in {slowest:.1?} at most; {}", rounds.bound());
    soak::report(5, &format!("{kind} primary killed, replica promoted"), measured);
    assert_eq!(queue.durability(), Durability::Durable);
    assert!(verdict.acked > rounds.made() && (verdict.lost, verdict.unexpected) == (0, 0), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_05_a_sentinel_promotes_a_replica_that_has_all_that_was_acknowledged() {
    let Some(group) = Group::sentinel(&[]) else { return };
    fails_over("Sentinel:", group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_05_a_cluster_promotes_a_replica_that_has_all_that_was_acknowledged() {
    let Some(group) = Group::cluster(1, &[]) else { return };
    fails_over("Cluster:", group).await;
}

/// Nothing dies: the old primary says where the queue is now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hands_over_in_order_is_followed() {
    let Some(group) = Group::cluster(1, &[]) else { return };
    let queue =
        with(config::Redis { url: Secret::new(group.url()), ..config::Redis::default() }).await.expect("a Redis");
    let mut checker = Checker::default();
    let happens = || group.hand_over("mq:{q}:meta");
    round(&queue, happens, Duration::from_secs(10), 0, &mut checker).await;
    let mut pushed = code(queue.push("q", body(0), None, 0).await);
    let over = Instant::now();
    while pushed.is_err() {
        assert_eq!(pushed, Err(Code::Unavailable));
        assert!(over.elapsed() < Duration::from_secs(5), "pushes do not work again");
        pushed = code(queue.push("q", body(0), None, 0).await);
    }
    checker.attempted(format!("{:?}", body(0).encoded), Outcome::Ok);
    drain(&queue, &mut checker).await;
    let verdict = checker.verdict();
    assert!(verdict.acked > 0 && (verdict.lost, verdict.unexpected) == (0, 0), "{verdict}");
}

/// A Redis with a replica that has all it has.
async fn replicated() -> Option<(Server, Server)> {
    let primary = Server::start(Kind::Redis, &["--repl-diskless-sync-delay", "0"])?;
    let (password, address) = primary.url().trim_start_matches("redis://:").split_once('@').expect("a password");
    let address = address.replace(':', " ");
    let replica = Server::start(Kind::Redis, &["--masterauth", password, "--replicaof", &address])?;
    let queue = on(&primary, 2_000, true).await.expect("durable enough");
    let client = queue.client();
    let start = Instant::now();
    loop {
        let wait = CustomCommand::new_static("WAIT", None, false);
        if client.custom::<i64, _>(wait, vec![1, 100]).await.expect("an answer") == 1 {
            return Some((primary, replica));
        }
        assert!(start.elapsed() < Duration::from_secs(10), "the replica does not come");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_hangs_holds_up_pushes_only() {
    let Some((primary, replica)) = replicated().await else { return };
    let queue = on(&primary, 2_000, true).await.expect("durable enough");
    for number in 0..20 {
        queue.push("q", body(number), None, 0).await.expect("a replica has it");
    }
    let connection = queue.client().id().to_owned();
    replica.signal("STOP");
    let mut pushes = JoinSet::new();
    for number in 0..20 {
        let queue = queue.clone();
        pushes.spawn(async move {
            let asked = Instant::now();
            (code(queue.push("other", body(number), None, 0).await), asked.elapsed())
        });
    }
    let (mut slowest, mut ended) = (Duration::ZERO, 0);
    while ended < 20 {
        let asked = Instant::now();
        let message = queue.receive("q", 1, 60_000).await.expect("leases").pop();
        if let Some(message) = message {
            queue.nack(&delivery(&message), 60_000).await.expect("the lease holds");
        }
        queue.pop("q").await.expect("a pop");
        queue.stats("q").await.expect("stats");
        slowest = slowest.max(asked.elapsed());
        while let Some(result) = pushes.try_join_next() {
            let (code, took) = result.expect("no panic");
            assert_eq!(code, Err(Code::Unavailable));
            assert!(took < Duration::from_millis(4_200), "{took:?}");
            ended += 1;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(slowest < Duration::from_millis(1_000), "{slowest:?}");
    assert_eq!(queue.client().id(), &*connection, "the connection was given up");

    replica.signal("CONT");
    let back = Instant::now();
    while queue.push("q", body(0), None, 0).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(5), "pushes do not work again");
    }
}

/// What a server has changed since its last snapshot, which goes to its replicas.
async fn changes(client: &Client) -> u64 {
    let said: String = client.info(Some(InfoKind::Persistence)).await.expect("an answer");
    let changes = said.lines().find_map(|line| line.trim().strip_prefix("rdb_changes_since_last_save:"));
    changes.expect("a count").parse().expect("a number")
}

/// WAIT, since Redis 7.2, waits for what its own connection has written: a push that finds its message there may be the
/// first to wait for it.
#[tokio::test]
async fn a_push_that_comes_again_writes_too_so_that_it_waits_for_replicas() {
    let Some(server) = Server::start(Kind::Redis, &[]) else { return };
    let queue = on(&server, 2_000, true).await.expect("durable enough");
    let client = queue.client();
    let id = queue.push("q", body(1), Some("k"), 0).await.expect("room");
    let before = changes(&client).await;
    assert_eq!(queue.push("q", body(1), Some("k"), 0).await.expect("the same"), id);
    let by_key = changes(&client).await;
    // As it is sent again when its answer was lost.
    let push = ["0", &id, "", "0", "10", "1", "", "", "10"].map(str::to_owned).to_vec();
    let name = "malla_queue_2_push";
    let answer: Vec<String> = client.fcall(name, crate::store::redis::keys("q"), push).await.expect("an answer");
    assert_eq!(answer, ["ok", &id]);
    assert!(before < by_key && by_key < changes(&client).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_last_replica_nothing_is_acknowledged_that_only_one_server_has() {
    let Some((primary, mut replica)) = replicated().await else { return };
    let queue = on(&primary, 2_000, true).await.expect("durable enough");
    let url = Secret::new(primary.url());
    let strict = with(config::Redis { url, replicas_min: 1, ..config::Redis::default() }).await.expect("a Redis");
    queue.push("q", body(0), None, 0).await.expect("a replica has it");
    replica.kill();
    // It is known by then that it is gone.
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_secs(2) {
        assert_eq!(code(queue.push("q", body(1), None, 0).await), Err(Code::Unavailable));
    }
    let lone = on(&primary, 2_000, true).await.expect("durable enough");
    lone.push("lone", body(1), None, 0).await.expect("a process that knows of no replica goes on");
    assert_eq!(code(strict.push("strict", body(1), None, 0).await), Err(Code::Unavailable), "unless it is told to");
    assert_eq!(queue.pop("q").await.expect("a pop").map(|message| message.body), Some(body(0).encoded));

    replica.restart();
    let back = Instant::now();
    while queue.push("q", body(0), None, 0).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(5), "pushes do not work again");
    }
}
