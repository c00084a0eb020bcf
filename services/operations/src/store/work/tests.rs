use std::sync::atomic::Ordering;

use malla_storage::testing::Place;
use tonic::{Code, Status};

use super::*;
use crate::store::tests::{Bench, DEADLINE_MS, bench};

fn draft(owner: &str, key: &str, request: &[u8]) -> Draft {
    Draft {
        owner: owner.into(),
        username: owner.into(),
        method: "malla.comments.v1.CommentsService/CreateComment".into(),
        request: request.into(),
        response_type: "malla.comments.v1.CreateCommentResponse".into(),
        key: key.into(),
    }
}

async fn insert(bench: &Bench, key: &str) -> Call {
    bench.calls.insert(draft("ana", key, b"1")).await.expect("room")
}

fn later(bench: &Bench, ms: i64) {
    bench.now.fetch_add(ms, Ordering::SeqCst);
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    Status::from(result.expect_err("refused")).code()
}

#[tokio::test]
async fn a_key_is_one_call_for_each_owner_until_its_result_is_gone() {
    let bench = bench(Place::sqlite()).await;
    let first = insert(&bench, "k").await;
    assert_eq!(insert(&bench, "k").await.id, first.id);
    assert_eq!(code(bench.calls.insert(draft("ana", "k", b"2")).await), Code::AlreadyExists);
    let others = bench.calls.insert(draft("bob", "k", b"2")).await.expect("another's key");
    assert_ne!(others.id, first.id);
    assert_eq!((first.id.len(), first.id.bytes().all(|digit| digit.is_ascii_hexdigit())), (32, true));

    let claimed = bench.calls.claim(&first.id).await.expect("a store").expect("due");
    bench.calls.settle(&claimed, Outcome::Done(Ok(Vec::new()))).await.expect("settled");
    assert_eq!(insert(&bench, "k").await.id, first.id, "its result is kept");
    later(&bench, 60_000);
    assert_ne!(insert(&bench, "k").await.id, first.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_used_at_once_is_one_call() {
    let bench = bench(Place::sqlite()).await;
    let inserts = (0..20).map(|_| bench.calls.insert(draft("ana", "k", b"1")));
    let ids: Vec<String> =
        futures_util::future::join_all(inserts).await.into_iter().map(|call| call.expect("room").id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn unfinished_calls_have_a_limit() {
    let bench = bench(Place::sqlite()).await;
    for key in 0..10 {
        insert(&bench, &key.to_string()).await;
    }
    assert_eq!(code(bench.calls.insert(draft("ana", "11", b"1")).await), Code::ResourceExhausted);
    insert(&bench, "0").await;
    assert_eq!(bench.calls.stats().await.expect("counts").queued, 10);
}

#[tokio::test]
async fn only_what_nobody_was_promised_and_nobody_began_is_taken_back() {
    let bench = bench(Place::sqlite()).await;
    let (taken, promised, begun) = (insert(&bench, "1").await, insert(&bench, "2").await, insert(&bench, "3").await);
    assert!(bench.calls.confirm(&promised.id).await.expect("a store"));
    let claimed = bench.calls.claim(&begun.id).await.expect("a store").expect("due");
    for call in [&taken, &promised, &begun] {
        assert_eq!(bench.calls.take_back(&call.id).await.expect("a store"), call.id == taken.id);
    }
    bench.calls.settle(&claimed, Outcome::Again { pause_ms: 0, crashed: false }).await.expect("settled");
    assert!(!bench.calls.take_back(&begun.id).await.expect("a store"), "it may have had an effect");
    assert!(!bench.calls.confirm(&taken.id).await.expect("a store"), "what is gone cannot be promised");
}

#[tokio::test]
async fn a_call_is_claimed_when_it_is_due_by_one_at_a_time() {
    let bench = bench(Place::sqlite()).await;
    let id = insert(&bench, "1").await.id;
    let claim = || async { bench.calls.claim(&id).await.expect("a store") };
    let first = claim().await.expect("due");
    assert_eq!((first.state, first.attempts, first.crashes), (State::Running, 1, 0));
    assert_eq!(claim().await, None, "leased");
    bench.calls.settle(&first, Outcome::Again { pause_ms: 1_000, crashed: false }).await.expect("settled");
    assert_eq!(claim().await, None, "pausing");
    later(&bench, 1_000);
    let second = claim().await.expect("due");
    assert_eq!((second.attempts, second.crashes), (2, 0));

    later(&bench, 30_000);
    let third = claim().await.expect("the lease is over");
    assert_eq!((third.attempts, third.crashes), (3, 1), "its worker is gone");
    bench.calls.settle(&second, Outcome::Done(Ok(b"late".to_vec()))).await.expect("without effect");
    assert_eq!(bench.calls.find(&id).await.expect("a store"), Some(third.clone()));
    bench.calls.settle(&third, Outcome::Done(Ok(b"now".to_vec()))).await.expect("settled");
    assert_eq!(claim().await, None, "done");
    let done = bench.calls.find(&id).await.expect("a store").expect("kept");
    assert_eq!((done.state, done.response), (State::Done, Some(b"now".to_vec())));
}

#[tokio::test]
async fn the_bell_is_rung_for_what_is_due_and_again_after_a_while() {
    let bench = bench(Place::sqlite()).await;
    let id = insert(&bench, "1").await.id;
    let due = || async { bench.calls.due().await.expect("a store") };
    assert!(due().await.is_empty(), "it was rung for when it was accepted");
    later(&bench, 5_000);
    assert_eq!(due().await, std::slice::from_ref(&id));
    assert!(due().await.is_empty());
    let claimed = bench.calls.claim(&id).await.expect("a store").expect("due");
    bench.calls.settle(&claimed, Outcome::Again { pause_ms: 1_000, crashed: false }).await.expect("settled");
    assert!(due().await.is_empty(), "pausing");
    later(&bench, 1_000);
    assert_eq!(due().await, std::slice::from_ref(&id), "as soon as its pause is over");
    later(&bench, 5_000 + DEADLINE_MS);
    assert_eq!(due().await, [id], "past its deadline too: it has to be ended");
}

#[tokio::test]
async fn counts_tell_the_age_of_the_oldest() {
    let bench = bench(Place::sqlite()).await;
    assert_eq!(bench.calls.stats().await.expect("counts"), Stats::default());
    let id = insert(&bench, "1").await.id;
    later(&bench, 7_000);
    insert(&bench, "2").await;
    bench.calls.claim(&id).await.expect("a store").expect("due");
    let expected = Stats { queued: 1, running: 1, oldest_ms: Some(7_000) };
    assert_eq!(bench.calls.stats().await.expect("counts"), expected);
}
