//! What every doorbell owes, held against both.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use malla_runtime::config::Secret;
use malla_runtime::shutdown::Shutdown;
use malla_servers::{Kind, Server};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::local::Local;
use super::rabbit::{Rabbit, address};
use super::*;

/// RabbitMQ 3.10 writes down what its quorum queues are called 3 s after they were declared; killed before, it cannot
/// find what they hold. Nothing tells when that was done.
const SETTLED: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(20);

/// One broker for all tests of this binary, which use it one after the other.
async fn broker() -> Option<tokio::sync::MutexGuard<'static, Server>> {
    static BROKER: OnceLock<Option<Mutex<Server>>> = OnceLock::new();
    let start = || BROKER.get_or_init(|| Server::start(Kind::RabbitMq, &[]).map(Mutex::new)).as_ref();
    let broker = tokio::task::spawn_blocking(start).await.expect("no panic")?;
    Some(broker.lock().await)
}

async fn connect(server: &Server, shutdown: &Shutdown) -> Rabbit {
    let address = address(&Secret::new(server.url())).expect("an address");
    Rabbit::connect(address, shutdown.clone()).await.expect("a broker")
}

async fn heard(bell: &dyn Doorbell) -> Ring {
    timeout(SOON, bell.heard()).await.expect("a ring")
}

/// Rings until that was confirmed, and tells how often: a busy machine may not manage it in the time there is, and what was
/// not confirmed may be heard all the same.
async fn rung(bell: &dyn Doorbell, id: &str) -> usize {
    timeout(SOON, async {
        let mut rings = 1;
        while bell.ring(id).await.is_err() {
            rings += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        rings
    })
    .await
    .unwrap_or_else(|_| panic!("{id}: the doorbell does not recover, well: {}", bell.is_well()))
}

async fn contract(bell: &dyn Doorbell) {
    assert!(bell.is_well());
    rung(bell, "before anybody listens").await;
    all_heard(bell, &BTreeSet::from(["before anybody listens".to_owned()])).await;
    let ids: BTreeSet<String> = (0..50).map(|id| id.to_string()).collect();
    for id in &ids {
        rung(bell, id).await;
    }
    all_heard(bell, &ids).await;
}

/// Listens until each of these was heard. Others may be, from before.
async fn all_heard(bell: &dyn Doorbell, ids: &BTreeSet<String>) {
    let mut missing = ids.clone();
    while !missing.is_empty() {
        let ring = heard(bell).await;
        missing.remove(&ring.id);
        ring.done().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_doorbells_keep_the_contract() {
    contract(&Local::new()).await;
    let Some(server) = broker().await else { return };
    let shutdown = Shutdown::default();
    contract(&connect(&server, &shutdown).await).await;
    shutdown.begin(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_given_back_comes_again_and_in_the_end_to_the_dead() {
    let Some(server) = broker().await else { return };
    let shutdown = Shutdown::default();
    let bell = connect(&server, &shutdown).await;
    // Each ring that may have come is given back until it comes no more.
    let (mut comes, rings) = (0, rung(&bell, "poison").await);
    let mut next = false;
    while !next {
        let ring = heard(&bell).await;
        if ring.id == "poison" {
            comes += 1;
            ring.again().await;
        } else {
            next = ring.id == "next";
            ring.done().await;
        }
        if comes == 6 {
            rung(&bell, "next").await;
        }
    }
    assert!(comes <= 6 * rings, "{comes} times, the poisoned one is not out of the way");
    // The broker matches this, or says no: nobody has to empty the queue of the dead.
    let limits = "{ok, Dead} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"malla\">>, queue, <<\"malla.operations.dead\">>)), \
                  [10000, 604800000] = [proplists:get_value(Key, [{K, V} || {K, _, V} <- amqqueue:get_arguments(Dead)]) \
                  || Key <- [<<\"x-max-length\">>, <<\"x-message-ttl\">>]].";
    tokio::task::block_in_place(|| server.rabbitmqctl(&["eval", limits]));
    shutdown.begin(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_rings_survive_the_brokers_death_and_no_ring_takes_long() {
    let Some(mut server) = broker().await else { return };
    let shutdown = Shutdown::default();
    let bell: Arc<dyn Doorbell> = Arc::new(connect(&server, &shutdown).await);
    tokio::time::sleep(SETTLED).await;
    let (mut acked, mut unheard) = (BTreeSet::new(), 0);
    for round in 0..3 {
        for number in 0..20 {
            let id = format!("{round}-{number}");
            rung(bell.as_ref(), &id).await;
            acked.insert(id);
        }
        let hurt = if round == 1 { "STOP" } else { "KILL" };
        if hurt == "KILL" {
            tokio::task::block_in_place(|| server.kill())
        } else {
            server.signal("STOP")
        }
        for number in 0..5 {
            let id = format!("{round}-unheard-{number}");
            // A ring that has ended counts, however late this machine looks: `timeout` asks it first.
            let outcome = timeout(Duration::from_millis(800), bell.ring(&id)).await.expect("it gives up in time");
            // A signal takes a moment: the first may still be confirmed.
            match outcome {
                Ok(()) => drop(acked.insert(id)),
                Err(_) => unheard += 1,
            }
        }
        if hurt == "KILL" { tokio::task::block_in_place(|| server.restart()) } else { server.signal("CONT") }
    }
    assert!(unheard > 5, "{unheard}");
    all_heard(bell.as_ref(), &acked).await;
    shutdown.begin(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_addresses_are_told_at_the_start() {
    assert!(address(&Secret::new("http://127.0.0.1")).is_err());
    let Some(server) = broker().await else { return };
    let (user, rest) = server.url().rsplit_once('@').expect("a user");
    let wrong = format!("{}:wrong@{rest}", user.rsplit_once(':').expect("a password").0);
    let refused = Rabbit::connect(address(&Secret::new(wrong)).expect("an address"), Shutdown::default()).await;
    assert!(refused.err().expect("refused").to_string().contains("credentials"));
    let nobody = address(&Secret::new("amqp://127.0.0.1:1/%2f")).expect("an address");
    let bell = Rabbit::connect(nobody, Shutdown::default()).await.expect("it may come later");
    assert!(!bell.is_well() && bell.ring("1").await.is_err());
}
