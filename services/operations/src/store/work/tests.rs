use malla_storage::testing::Place;
use sea_orm::{ConnectionTrait as _, DatabaseBackend};

use super::*;
use crate::store::Draft;
use crate::store::tests::{Bench, DEADLINE_MS, bench, draft};

async fn promised(bench: &Bench, key: &str) -> Call {
    bench.promised(draft("ana", key, b"1")).await
}

async fn a_call_is_claimed_when_it_is_due_by_one_at_a_time(place: Place) {
    let bench = bench(place).await;
    let id = promised(&bench, "1").await.id;
    let claim = || async { bench.calls.claim(&id).await.expect("a store") };
    let first = claim().await.expect("due");
    assert_eq!((first.state, first.attempts, first.crashes), (State::Running, 1, 0));
    assert_eq!(claim().await, None, "leased");
    bench.calls.settle(&first, &Outcome::Again { pause_ms: 1_000, crashed: false }).await.expect("settled");
    assert_eq!(claim().await, None, "pausing");
    bench.later(1_000);
    let second = claim().await.expect("due");
    assert_eq!((second.attempts, second.crashes), (2, 0));

    bench.later(30_000);
    let third = claim().await.expect("the lease is over");
    assert_eq!((third.attempts, third.crashes), (3, 1), "its worker is gone");
    bench.calls.settle(&second, &Outcome::Done(Ok(b"late".to_vec()))).await.expect("without effect");
    assert_eq!(bench.calls.find(&id).await.expect("a store"), Some(third.clone()));
    bench.calls.settle(&third, &Outcome::Done(Ok(b"now".to_vec()))).await.expect("settled");
    assert_eq!(claim().await, None, "done");
    let done = bench.calls.find(&id).await.expect("a store").expect("kept");
    assert_eq!((done.state, done.response), (State::Done, Some(b"now".to_vec())));
}

async fn the_bell_is_rung_for_what_is_due_and_again_after_a_while(place: Place) {
    let bench = bench(place).await;
    let id = promised(&bench, "1").await.id;
    let due = || async { bench.calls.due(&[]).await.expect("a store") };
    assert!(due().await.is_empty(), "it was rung for when it was accepted");
    bench.later(5_000);
    assert_eq!(due().await, std::slice::from_ref(&id));
    assert!(due().await.is_empty());
    let claimed = bench.calls.claim(&id).await.expect("a store").expect("due");
    bench.calls.settle(&claimed, &Outcome::Again { pause_ms: 1_000, crashed: false }).await.expect("settled");
    assert!(due().await.is_empty(), "pausing");
    bench.later(1_000);
    assert_eq!(due().await, std::slice::from_ref(&id), "as soon as its pause is over");
    bench.later(5_000 + DEADLINE_MS);
    assert_eq!(due().await, [id], "past its deadline too: it has to be ended");
}

async fn what_was_not_rung_for_is_rung_for_soon(place: Place) {
    let bench = bench(place).await;
    let (one, other) = (promised(&bench, "1").await.id, promised(&bench, "2").await.id);
    bench.later(5_000);
    assert_eq!(bench.calls.due(&[]).await.expect("a store").len(), 2);
    bench.calls.unrung(std::slice::from_ref(&other)).await.expect("a store");
    assert_eq!(bench.calls.due(&[]).await.expect("a store"), [other], "and not for {one}");
}

/// Two processes that sweep: neither takes what the other has taken.
async fn each_due_call_is_rung_for_by_one(place: Place) {
    let bench = bench(place).await;
    for key in 0..10 {
        promised(&bench, &key.to_string()).await;
    }
    bench.later(5_000);
    let asks = (0..4).map(|_| {
        let calls = bench.calls.clone();
        tokio::spawn(async move { calls.due(&[]).await.expect("a store") })
    });
    let given = futures_util::future::join_all(asks.collect::<Vec<_>>()).await;
    let mut given: Vec<_> = given.into_iter().flat_map(|due| due.expect("no panic")).collect();
    given.sort_unstable();
    assert_eq!(given.len(), 10, "{given:?}");
    given.dedup();
    assert_eq!(given.len(), 10, "{given:?}");
}

async fn due_calls_are_told_apart_by_service(place: Place) {
    const FILES: &str = "malla.files.v1.FilesService";
    let bench = bench(place).await;
    let comment = promised(&bench, "1").await.id;
    let files = Draft { method: format!("{FILES}/ListFileNames"), ..draft("ana", "1", b"1") };
    let files = bench.promised(files).await.id;
    bench.later(5_000);
    assert_eq!(bench.calls.due(&[FILES.to_owned()]).await.expect("a store"), [comment]);
    assert_eq!(bench.calls.next(FILES).await.expect("a store"), Some(files));
    assert_eq!(bench.calls.next(FILES).await.expect("a store"), None, "taken");
}

async fn counts_tell_the_age_of_the_oldest(place: Place) {
    let bench = bench(place).await;
    assert_eq!(bench.calls.stats().await.expect("counts"), Stats::default());
    let id = promised(&bench, "1").await.id;
    bench.later(7_000);
    promised(&bench, "2").await;
    bench.calls.claim(&id).await.expect("a store").expect("due");
    let expected = Stats { queued: 1, running: 1, oldest_ms: Some(7_000) };
    assert_eq!(bench.calls.stats().await.expect("counts"), expected);
}

/// Behind a request of 256 KiB there are 60 pages to be read before the next column.
#[tokio::test]
async fn what_is_asked_all_the_time_is_answered_without_a_look_at_requests() {
    let bench = bench(Place::sqlite()).await;
    let unfinished = entity::Entity::find().filter(Column::State.is_in(State::UNFINISHED));
    let owned = |owner: &str| entity::Entity::find().filter(Column::Owner.eq(owner));
    let count = |which: Select<entity::Entity>| which.select_only().expr(Expr::val(1).count());
    let entries = bench.calls.newest("ana").select_only();
    let rows = [
        ("stats", counted(1)),
        ("due", longest(due(1).add(Column::RungMs.lte(1)).add(of("a").not()), DUE_MAX)),
        ("entries", entries.columns([Column::Id, Column::CreatedMs, Column::StoredBytes]).limit(50)),
        ("all", count(unfinished.clone())),
        ("a user's", count(owned("ana"))),
        ("anybody's", count(unfinished.filter(Column::Owner.eq("")))),
    ];
    // Asked before it is explained, on one connection: that goes by the schema the connection saw last.
    let store = bench.calls.store.begin().await.expect("a connection");
    for (asked, select) in rows {
        let mut statement = select.build(DatabaseBackend::Sqlite);
        store.query_all_raw(statement.clone()).await.expect("no rows");
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let plan = store.query_all_raw(statement).await.expect("a plan");
        let plan: Vec<String> = plan.iter().map(|step| step.try_get("", "detail").expect("a step")).collect();
        let table = plan.iter().find(|step| step.contains(" operations ")).expect("a step through the table");
        assert!(table.contains("COVERING INDEX"), "{asked}: {plan:?}");
    }
}

malla_storage::on_every_database![
    a_call_is_claimed_when_it_is_due_by_one_at_a_time,
    the_bell_is_rung_for_what_is_due_and_again_after_a_while,
    what_was_not_rung_for_is_rung_for_soon,
    each_due_call_is_rung_for_by_one,
    due_calls_are_told_apart_by_service,
    counts_tell_the_age_of_the_oldest,
];
