//! What is done to any number of rows is done in steps: one statement for all would take longer than a statement may.

use sea_orm::{IntoActiveModel as _, NotSet};

use super::super::sql::entity::{key_counts, messages};
use super::super::sql::memory::FORGET_MAX;
use super::super::sql::{ARRIVE_MAX, REDRIVE_MAX};
use super::*;

async fn databases() -> impl Iterator<Item = (Bench, Store)> {
    let benches = [Some(bench(Config::default()).await), postgres(Config::default()).await];
    benches.into_iter().flatten().map(|bench| {
        let Home::Database(_, store) = &bench.home else { panic!("a database") };
        let store = store.clone();
        (bench, store)
    })
}

async fn store<A: ActiveModelTrait>(rows: impl IntoIterator<Item = A>, store: &Store) {
    A::Entity::insert_many(rows).exec_without_returning(&store.connection).await.expect("stored");
}

#[tokio::test]
async fn a_redrive_takes_any_number_of_dead_letters() {
    for (bench, database) in databases().await {
        let now = bench.now.load(Ordering::SeqCst);
        let dead = |number: u64| messages::Model {
            seq: 0,
            id: number.to_string(),
            queue: "q".into(),
            pushed_ms: now,
            visible_ms: now,
            receipt: None,
            attempts: 5,
            is_final: true,
            body: body(1).encoded,
            arrived: false,
        };
        let row = |number| messages::ActiveModel { seq: NotSet, ..dead(number).into_active_model() };
        store((0..=REDRIVE_MAX).map(row), &database).await;
        assert_eq!(bench.messages.redrive("q").await.expect("a redrive"), REDRIVE_MAX + 1);
        assert_eq!(bench.messages.count("q").await.expect("a count"), REDRIVE_MAX + 1);
    }
}

#[tokio::test]
async fn any_number_of_delays_that_end_at_once_end() {
    const PUSHED: u64 = 2 * ARRIVE_MAX + 1;
    for (bench, _) in databases().await {
        let push = async |delay| bench.messages.push("q", body(1), None, delay).await.expect("room");
        for _ in 0..PUSHED {
            push(5_000).await;
        }
        let prompt = push(0).await;
        let received = bench.messages.receive("q", 1, 1_000).await.expect("messages");
        assert_eq!(received.iter().map(|message| &message.id).collect::<Vec<_>>(), [&prompt]);
        bench.now.fetch_add(5_000, Ordering::SeqCst);
        assert_eq!(bench.messages.count("q").await.expect("a count"), PUSHED + 1);
        let mut popped = 0;
        while bench.messages.pop("q").await.expect("a pop").is_some() {
            popped += 1;
        }
        assert_eq!(popped, PUSHED + 1);
    }
}

#[tokio::test]
async fn a_sweep_takes_any_number_of_keys_and_tombstones_that_are_old_and_no_other() {
    const ROWS: i64 = 2 * FORGET_MAX as i64 + 1;
    for (bench, database) in databases().await {
        let start = bench.now.load(Ordering::SeqCst);
        let key = |number: i64| {
            let (queue, key, id) = ("q".into(), number.to_string(), number.to_string());
            keys::Model { queue, key, fingerprint: Vec::new(), id, pushed_ms: start + number }.into_active_model()
        };
        let ack = |number: i64| {
            let (id, receipt) = (number.to_string(), "r".into());
            acks::Model { id, receipt, acked_ms: start + number }.into_active_model()
        };
        store((0..ROWS).map(key), &database).await;
        store((0..ROWS).map(ack), &database).await;
        store([key_counts::Model { queue: "q".into(), keys: ROWS }.into_active_model()], &database).await;

        let connection = &database.connection;
        for (time, left) in [(ROWS - 2, 1), (ROWS - 1, 0)] {
            bench.now.store(start + KEY_MS + time, Ordering::SeqCst);
            bench.messages.sweep().await.expect("a sweep");
            assert_eq!(keys::Entity::find().count(connection).await.expect("a count"), left);
            let counts = key_counts::Entity::find().all(connection).await.expect("rows");
            assert_eq!(counts.iter().map(|row| row.keys).sum::<i64>(), left as i64);
            assert_eq!(counts.len() as u64, left, "a count of none is no row");
        }
        assert_eq!(acks::Entity::find().count(connection).await.expect("a count"), 0);
    }
}
