//! Checkouts that come again or while the database dies: each order is closed once, and none is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use malla_servers::soak::{report, rounds};
use malla_servers::{Kind, Server};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::Code;

use crate::keys::{ADD, CHECKOUT, closed, post};
use crate::support::{Lane, Mesh, Topology, between};

/// Puts a beer into an order and closes it, again and again, each call under a key and until it is answered. Returns how
/// many orders were closed for certain, and whether one more may have been.
async fn buy(user: Lane, over: Arc<AtomicBool>, bought: Arc<AtomicUsize>) -> (usize, bool) {
    for number in 0.. {
        for (rpc, request) in [(ADD, json!({"sku": "123456", "quantity": 1})), (CHECKOUT, json!({}))] {
            let keyed = user.with_key(&format!("{rpc}-{number}"));
            while let Err(failure) = keyed.call(rpc, request.clone()).await {
                // A key whose call was cut off is in use for a minute.
                assert!(matches!(failure.code, Code::Unavailable | Code::Aborted), "{failure:?}");
                if over.load(Ordering::Relaxed) {
                    return (number, rpc == CHECKOUT);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        bought.fetch_add(1, Ordering::Relaxed);
        if over.load(Ordering::Relaxed) {
            return (number + 1, false);
        }
    }
    unreachable!("numbers do not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn row_21_postgres_dies_under_checkouts() {
    const BUYERS: usize = 16;
    let Some(mut server) = Server::start(Kind::Postgres, &[]) else { return };
    let settings = [("ORDERS__DATABASE__URL", server.url())];
    let mesh = Mesh::start_with(Topology::ProcessPerService, &settings).await;
    let mut users = Vec::new();
    for number in 0..BUYERS {
        users.push(Lane::rest(&mesh).user(&format!("buyer{number}")).await);
    }
    let (over, bought) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut buyers = JoinSet::new();
    for user in users.clone() {
        let (over, bought) = (over.clone(), bought.clone());
        buyers.spawn(async move { (buy(user.clone(), over, bought).await, user) });
    }
    let (mut rounds, mut slowest) = (rounds(3), Duration::ZERO);
    for _ in rounds.by_ref() {
        tokio::time::sleep(between(200, 700)).await;
        tokio::task::block_in_place(|| {
            server.kill();
            server.restart();
        });
        let (restarted, before) = (Instant::now(), bought.load(Ordering::Relaxed));
        while bought.load(Ordering::Relaxed) == before {
            assert!(restarted.elapsed() < Duration::from_secs(20), "orders are closed again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest = slowest.max(restarted.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    let (mut acked, mut unknown, mut stored) = (0, 0, 0);
    for ((sure, perhaps), user) in buyers.join_all().await {
        let closed = closed(&user).await;
        assert!((sure..=sure + usize::from(perhaps)).contains(&closed), "{closed} orders, {sure} of them for certain");
        (acked, unknown, stored) = (acked + sure, unknown + usize::from(perhaps), stored + closed);
    }
    report(
        21,
        "PostgreSQL killed under checkouts",
        format_args!(
            "{acked} acked and {unknown} unknown, {stored} closed; 0 lost, 0 twice; back in {slowest:.1?} at most; {}",
            rounds.bound()
        ),
    );
}

/// Some of the clients leave midway.
#[tokio::test(flavor = "multi_thread")]
async fn row_23_parallel_checkouts_with_one_key_close_one_order() {
    let mut rounds = rounds(5);
    let (mut answered, mut in_use) = (0, 0);
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    let user = Lane::rest(&mesh).user("ana").await;
    for round in rounds.by_ref() {
        let key = format!("round-{round}");
        let add = json!({"sku": "123456", "quantity": 1});
        user.call(ADD, add.clone()).await.unwrap();
        let calls = (0..50).map(async |number: u64| {
            let call = post(&mesh, "/v1/orders/current:checkout", &user, &key, json!({}));
            match number % 5 {
                0 => tokio::time::timeout(std::time::Duration::from_millis(number / 5 * 4), call).await.ok()?,
                _ => call.await,
            }
        });
        let outcomes = join_all(calls).await;
        // Until the key is free of those that left.
        let mut last = None;
        for _ in 0..500 {
            last = post(&mesh, "/v1/orders/current:checkout", &user, &key, json!({})).await;
            if last.as_ref().is_some_and(|(status, ..)| *status != 409) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let (status, _, order) = last.expect("an answer");
        assert_eq!((status, &order["is_open"]), (200, &json!(false)), "{order}");
        for (status, headers, body) in outcomes.into_iter().flatten() {
            match status {
                200 => {
                    assert_eq!(body, order);
                    answered += 1;
                }
                409 => {
                    assert_eq!(headers["retry-after"], "1");
                    in_use += 1;
                }
                _ => panic!("{status} {body}"),
            }
        }
        assert_eq!(closed(&user).await, round + 1);
    }
    report(
        23,
        "50 checkouts at once with one key",
        format_args!("one order each time; {answered} same answers, {in_use} told to come again; {}", rounds.bound()),
    );
}
