use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use malla_storage::testing::Place;
use sea_orm::ActiveModelTrait as _;
use sea_orm::IntoActiveModel as _;
use tonic::Status;

use super::*;
use crate::migrations::Migrator;

const RETENTION_MS: i64 = 60_000;
pub(crate) const DEADLINE_MS: i64 = 3_600_000;

/// Calls in a place of their own, and the hands of their clock.
pub(crate) struct Bench {
    pub(crate) calls: Arc<Calls>,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) clock: Clock,
    _place: Place,
}

pub(crate) async fn bench(place: Place) -> Bench {
    let now = Arc::new(AtomicI64::new(1_000_000_000));
    let config =
        Config { retention_ms: RETENTION_MS, deadline_ms: DEADLINE_MS, unfinished_max: 10, ..Config::default() };
    let store = place.open::<Migrator>("operations").await;
    let hands = now.clone();
    let clock: Clock = Arc::new(move || hands.load(Ordering::SeqCst));
    Bench { calls: Arc::new(Calls::new(store, config, clock.clone())), now, clock, _place: place }
}

impl Bench {
    /// Puts a call into the store as accepting and carrying out will.
    pub(crate) async fn add(&self, id: &str, owner: &str, state: State, result: Result<Vec<u8>, Vec<u8>>) {
        let now = self.now.load(Ordering::SeqCst);
        let done = DONE.contains(&state);
        let (response, error) = result.map_or_else(|error| (None, Some(error)), |response| (Some(response), None));
        let call = Call {
            id: id.into(),
            owner: owner.into(),
            method: "malla.comments.v1.CommentsService/CreateComment".into(),
            request: vec![1, 2, 3],
            state,
            response: response.filter(|_| done),
            error: error.filter(|_| done),
            attempts: i32::from(state != State::Queued),
            created_ms: now,
            modified_ms: now,
            expires_ms: done.then_some(now + RETENTION_MS),
            username: owner.into(),
            idempotency_key: None,
            response_type: "malla.comments.v1.CreateCommentResponse".into(),
            confirmed: true,
            crashes: 0,
            deadline_ms: now + DEADLINE_MS,
            next_attempt_ms: now,
            rung_ms: now,
        };
        call.into_active_model().insert(&self.calls.store.connection).await.expect("a new id");
    }

    pub(crate) async fn add_all(&self, owner: &str) {
        for (id, state) in ALL {
            self.add(id, owner, state, Ok(Vec::new())).await;
        }
    }
}

const ALL: [(&str, State); 4] =
    [("1", State::Queued), ("2", State::Running), ("3", State::Done), ("4", State::Cancelled)];

fn code<T>(result: Result<T, Error>) -> Result<T, Code> {
    result.map_err(|error| Status::from(error).code())
}

async fn only_a_queued_call_is_cancelled_and_the_others_are_left_alone(place: Place) {
    let bench = bench(place).await;
    bench.add_all("ana").await;
    for (id, state) in ALL {
        let before = bench.calls.get("ana", id).await.expect("known");
        bench.calls.cancel("ana", id).await.expect("best effort");
        let after = bench.calls.get("ana", id).await.expect("known");
        if state == State::Queued {
            let error = rpc::Status::decode(after.error.expect("an error").as_slice()).expect("a status");
            assert_eq!((after.state, error.code), (State::Cancelled, Code::Cancelled.into()));
        } else {
            assert_eq!(after, before);
        }
    }
}

async fn only_a_done_call_is_deleted(place: Place) {
    let bench = bench(place).await;
    bench.add_all("ana").await;
    for (id, state) in ALL {
        let deleted = code(bench.calls.delete("ana", id).await);
        assert_eq!(deleted, if DONE.contains(&state) { Ok(()) } else { Err(Code::FailedPrecondition) }, "{id}");
    }
    let left = bench.calls.list("ana", None, 10).await.expect("a list");
    assert_eq!(left.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["2", "1"]);
}

async fn anothers_call_does_not_exist(place: Place) {
    let bench = bench(place).await;
    bench.add_all("ana").await;
    for (id, _) in ALL {
        assert_eq!(code(bench.calls.get("bob", id).await), Err(Code::NotFound));
        assert_eq!(code(bench.calls.cancel("bob", id).await), Err(Code::NotFound));
        assert_eq!(code(bench.calls.delete("bob", id).await), Err(Code::NotFound));
        assert!(bench.calls.get("ana", id).await.is_ok());
    }
    assert_eq!(bench.calls.list("bob", None, 10).await.expect("a list"), []);
    assert_eq!(bench.calls.get("ana", "1").await.expect("known").state, State::Queued);
}

async fn what_nobody_in_particular_owns_is_theirs_who_know_its_id_and_in_no_list(place: Place) {
    let bench = bench(place).await;
    bench.add("1", "", State::Queued, Ok(Vec::new())).await;
    bench.add("2", "ana", State::Queued, Ok(Vec::new())).await;
    for owner in ["", "ana", "bob"] {
        assert!(bench.calls.get(owner, "1").await.is_ok(), "{owner:?}");
        let listed = bench.calls.list(owner, None, 10).await.expect("a list");
        assert!(owner.is_empty() || listed.iter().all(|call| call.owner == owner), "{listed:?}");
    }
    assert_eq!(code(bench.calls.get("", "2").await), Err(Code::NotFound));
    assert_eq!(code(bench.calls.cancel("", "2").await), Err(Code::NotFound));
    bench.calls.cancel("", "1").await.expect("by possession");
    bench.calls.delete("", "1").await.expect("by possession");
}

async fn a_result_is_kept_for_its_retention_and_work_for_as_long_as_it_takes(place: Place) {
    let bench = bench(place).await;
    bench.add_all("ana").await;
    bench.now.fetch_add(RETENTION_MS - 1, Ordering::SeqCst);
    assert_eq!(bench.calls.sweep().await.expect("a sweep"), 0);
    bench.now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(code(bench.calls.get("ana", "3").await), Err(Code::NotFound), "before the sweep too");
    assert_eq!(bench.calls.list("ana", None, 10).await.expect("a list").len(), 2);
    assert_eq!(bench.calls.sweep().await.expect("a sweep"), 2);
}

async fn cancelled_and_deleted_at_once_a_call_is_cancelled_before_it_is_gone(place: Place) {
    let bench = bench(place).await;
    for id in 0..20 {
        let id = id.to_string();
        bench.add(&id, "ana", State::Queued, Ok(Vec::new())).await;
        let (calls, same) = (bench.calls.clone(), id.clone());
        let deletion = tokio::spawn(async move { code(calls.delete("ana", &same).await) });
        let cancelled = code(bench.calls.cancel("ana", &id).await);
        let deleted = deletion.await.expect("no panic");
        assert_eq!(cancelled, Ok(()), "a queued call cannot vanish");
        assert!(matches!(deleted, Ok(()) | Err(Code::FailedPrecondition)), "{deleted:?}");
    }
}

malla_storage::on_every_database![
    only_a_queued_call_is_cancelled_and_the_others_are_left_alone,
    only_a_done_call_is_deleted,
    anothers_call_does_not_exist,
    what_nobody_in_particular_owns_is_theirs_who_know_its_id_and_in_no_list,
    a_result_is_kept_for_its_retention_and_work_for_as_long_as_it_takes,
    cancelled_and_deleted_at_once_a_call_is_cancelled_before_it_is_gone,
];
