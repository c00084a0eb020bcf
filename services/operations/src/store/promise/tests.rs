use malla_storage::testing::Place;
use tonic::{Code, Status};

use super::*;
use crate::config::Config;
use crate::store::tests::{Bench, bench, bench_with, draft};
use crate::store::{Outcome, UNPROMISED_MS};

const LATE: bool = false;

async fn insert(bench: &Bench, key: &str) -> Call {
    bench.calls.insert(draft("ana", key, b"1")).await.expect("room")
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    Status::from(result.expect_err("refused")).code()
}

/// Carries a call out, to a result of so many bytes.
async fn finish(bench: &Bench, id: &str, bytes: usize) {
    let claimed = bench.calls.claim(id).await.expect("a store").expect("due");
    bench.calls.settle(&claimed, &Outcome::Done(Ok(vec![0; bytes]))).await.expect("settled");
}

async fn a_key_is_one_call_for_each_owner_until_its_result_is_gone(place: Place) {
    let bench = bench(place).await;
    let first = bench.promised(draft("ana", "k", b"1")).await;
    assert_eq!(insert(&bench, "k").await.id, first.id);
    assert_eq!(code(bench.calls.insert(draft("ana", "k", b"2")).await), Code::AlreadyExists);
    let others = bench.calls.insert(draft("bob", "k", b"2")).await.expect("another's key");
    assert_ne!(others.id, first.id);
    assert_eq!((first.id.len(), first.id.bytes().all(|digit| digit.is_ascii_hexdigit())), (32, true));

    finish(&bench, &first.id, 0).await;
    assert!(bench.row(&first.id).await.request.is_empty(), "nobody has a use for it any more");
    assert_eq!(insert(&bench, "k").await.id, first.id, "its result is kept");
    assert_eq!(code(bench.calls.insert(draft("ana", "k", b"2")).await), Code::AlreadyExists);
    bench.later(60_000);
    assert_ne!(insert(&bench, "k").await.id, first.id);
}

async fn a_key_used_at_once_is_one_call(place: Place) {
    let bench = bench(place).await;
    let inserts = (0..20).map(|_| bench.calls.insert(draft("ana", "k", b"1")));
    let ids: Vec<String> =
        futures_util::future::join_all(inserts).await.into_iter().map(|call| call.expect("room").id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

async fn unfinished_calls_have_a_limit_also_for_those_who_come_at_once(place: Place) {
    let bench = bench(place).await;
    let inserts = (0..30).map(|key| {
        let calls = bench.calls.clone();
        tokio::spawn(async move { calls.insert(draft("ana", &key.to_string(), b"1")).await })
    });
    let inserts = futures_util::future::join_all(inserts.collect::<Vec<_>>()).await;
    let inserted: Vec<_> = inserts.into_iter().filter_map(|insert| insert.expect("no panic").ok()).collect();
    assert_eq!(inserted.len(), 10);
    assert_eq!(code(bench.calls.insert(draft("ana", "new", b"1")).await), Code::ResourceExhausted);
    let known = inserted[0].idempotency_key.as_deref().expect("a key");
    assert_eq!(insert(&bench, known).await.id, inserted[0].id);
    assert_eq!(bench.calls.stats().await.expect("counts").queued, 10);
}

async fn what_has_ended_counts_for_its_owner_but_not_for_nobody_in_particular(place: Place) {
    let bench = bench_with(place, Config { per_owner_max: 3, ..Config::default() }).await;
    for key in 0..10 {
        let call = bench.promised(draft("", &key.to_string(), b"1")).await;
        finish(&bench, &call.id, 1).await;
    }
    for key in 10..13 {
        bench.promised(draft("", &key.to_string(), b"1")).await;
    }
    assert_eq!(code(bench.calls.insert(draft("", "13", b"1")).await), Code::ResourceExhausted);
    for key in 0..3 {
        let call = bench.promised(draft("ana", &key.to_string(), b"1")).await;
        finish(&bench, &call.id, 1).await;
    }
    assert_eq!(code(bench.calls.insert(draft("ana", "3", b"1")).await), Code::ResourceExhausted);
}

/// Requests until they have ended and results after; nobody in particular may not take it all.
async fn what_is_kept_has_a_limit_in_bytes(place: Place) {
    const BYTES: usize = 100 << 10;
    let bench = bench_with(place, Config { stored_bytes_max: 1 << 20, ..Config::default() }).await;
    let fill = async |owner: &str| {
        for key in 0..100 {
            match bench.calls.insert(draft(owner, &key.to_string(), &[0; BYTES])).await {
                Ok(call) => assert!(bench.calls.confirm(&call.id, || true).await.expect("a store")),
                Err(error) => return (key, code::<()>(Err(error))),
            }
        }
        panic!("there is no limit");
    };
    assert_eq!(fill("").await, (5, Code::ResourceExhausted));
    assert_eq!(fill("ana").await, (5, Code::ResourceExhausted), "the other half");
    bench.later(5_000);
    let mut due = bench.calls.due(&[]).await.expect("a store");
    finish(&bench, &due.remove(0), BYTES).await;
    assert_eq!(code(bench.calls.insert(draft("ana", "new", &[0; BYTES])).await), Code::ResourceExhausted);
    finish(&bench, &due.remove(0), 1).await;
    bench.promised(draft("ana", "new", &[0; BYTES])).await;
}

/// Whoever asked for it was refused: it must not be carried out, whatever kept it from being taken back.
async fn what_is_not_promised_is_not_carried_out_nor_shown_and_goes(place: Place) {
    let bench = bench(place).await;
    let (late, promised) = (insert(&bench, "late").await, bench.promised(draft("ana", "promised", b"1")).await);
    assert!(!bench.calls.confirm(&late.id, || LATE).await.expect("a store"));
    bench.later(5_000);
    assert_eq!(bench.calls.due(&[]).await.expect("a store"), std::slice::from_ref(&promised.id));
    assert_eq!(bench.calls.claim(&late.id).await.expect("a store"), None);
    assert_eq!(code(bench.calls.get("ana", &late.id).await), Code::NotFound);
    assert!(!bench.calls.standing(&late.id).await.expect("a store").expect("stored").confirmed);
    assert_eq!(insert(&bench, "late").await.id, late.id, "sent again with its key, it may be promised yet");
    assert_eq!(bench.calls.sweep().await.expect("a sweep"), 0);
    bench.later(UNPROMISED_MS);
    assert_eq!(bench.calls.sweep().await.expect("a sweep"), 1);
    assert!(!bench.calls.confirm(&late.id, || true).await.expect("a store"), "what is gone cannot be promised");
    assert!(bench.calls.claim(&promised.id).await.expect("a store").is_some());
}

async fn only_what_nobody_was_promised_is_taken_back(place: Place) {
    let bench = bench(place).await;
    let (taken, promised) = (insert(&bench, "1").await, bench.promised(draft("ana", "2", b"1")).await);
    for call in [&taken, &promised] {
        assert_eq!(bench.calls.take_back(&call.id).await.expect("a store"), call.id == taken.id);
    }
    assert!(!bench.calls.confirm(&taken.id, || true).await.expect("a store"), "what is gone cannot be promised");
}

malla_storage::on_every_database![
    a_key_is_one_call_for_each_owner_until_its_result_is_gone,
    a_key_used_at_once_is_one_call,
    unfinished_calls_have_a_limit_also_for_those_who_come_at_once,
    what_has_ended_counts_for_its_owner_but_not_for_nobody_in_particular,
    what_is_kept_has_a_limit_in_bytes,
    what_is_not_promised_is_not_carried_out_nor_shown_and_goes,
    only_what_nobody_was_promised_is_taken_back,
];
