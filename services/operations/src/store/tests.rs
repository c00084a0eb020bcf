use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use malla_storage::testing::Place;
use sea_orm::ActiveModelTrait as _;
use sea_orm::ConnectionTrait as _;
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
    bench_with(place, Config { unfinished_max: 10, ..Config::default() }).await
}

pub(crate) async fn bench_with(place: Place, config: Config) -> Bench {
    let now = Arc::new(AtomicI64::new(1_000_000_000));
    let config = Config { retention_ms: RETENTION_MS, deadline_ms: DEADLINE_MS, ..config };
    let store = place.open::<Migrator>("operations").await;
    let hands = now.clone();
    let clock: Clock = Arc::new(move || hands.load(Ordering::SeqCst));
    Bench { calls: Arc::new(Calls::new(store, config, clock.clone())), now, clock, _place: place }
}

pub(crate) fn draft(owner: &str, key: &str, request: &[u8]) -> Draft {
    Draft {
        owner: owner.into(),
        username: owner.into(),
        method: "malla.comments.v1.CommentsService/CreateComment".into(),
        request: request.into(),
        response_type: "malla.comments.v1.CreateCommentResponse".into(),
        key: key.into(),
    }
}

impl Bench {
    /// Accepts a call to its end.
    pub(crate) async fn promised(&self, draft: Draft) -> Call {
        let call = self.calls.insert(draft).await.expect("room");
        assert!(self.calls.confirm(&call.id, || true).await.expect("a store"));
        Call { confirmed: true, ..call }
    }

    /// The whole row of a call.
    pub(crate) async fn row(&self, id: &str) -> Call {
        self.calls.find(id).await.expect("a store").expect("kept")
    }

    pub(crate) fn later(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    /// Hides the table, or shows it again: statements fail meanwhile.
    pub(crate) async fn hide(&self, hidden: bool) {
        let (from, to) = if hidden { ("operations", "hidden") } else { ("hidden", "operations") };
        let rename = format!("ALTER TABLE {from} RENAME TO {to}");
        self.calls.store.connection.execute_unprepared(&rename).await.expect("renamed");
    }

    /// Puts a call into the store as accepting and carrying out will.
    pub(crate) async fn add(&self, id: &str, owner: &str, state: State, result: Result<Vec<u8>, Vec<u8>>) {
        let now = self.now.load(Ordering::SeqCst);
        let done = State::ENDED.contains(&state);
        let (response, error) = result.map_or_else(|error| (None, Some(error)), |response| (Some(response), None));
        let result = [&response, &error].into_iter().flatten().map(Vec::len).max().unwrap_or(0);
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
            fingerprint: Vec::new(),
            stored_bytes: i64::try_from(result).expect("a size"),
        };
        call.into_active_model().insert(&self.calls.store.connection).await.expect("a new id");
    }

    /// The ids of an owner's list.
    async fn listed(&self, owner: &str) -> Vec<String> {
        let entries = self.calls.entries(owner, None, 10).await.expect("a list");
        let calls = self.calls.read(owner, entries).await.expect("a list");
        assert!(calls.iter().all(|call| call.owner == owner), "{calls:?}");
        calls.into_iter().map(|call| call.id).collect()
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
            assert!(bench.row(id).await.request.is_empty(), "nobody has a use for it any more");
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
        assert_eq!(deleted, if State::ENDED.contains(&state) { Ok(()) } else { Err(Code::FailedPrecondition) }, "{id}");
    }
    assert_eq!(bench.listed("ana").await, ["2", "1"]);
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
    assert!(bench.listed("bob").await.is_empty());
    assert_eq!(bench.calls.get("ana", "1").await.expect("known").state, State::Queued);
}

async fn what_nobody_in_particular_owns_is_theirs_who_know_its_id_and_in_no_list(place: Place) {
    let bench = bench(place).await;
    bench.add("1", "", State::Queued, Ok(Vec::new())).await;
    bench.add("2", "ana", State::Queued, Ok(Vec::new())).await;
    for owner in ["", "ana", "bob"] {
        assert!(bench.calls.get(owner, "1").await.is_ok(), "{owner:?}");
        let listed = bench.listed(owner).await;
        assert!(owner.is_empty() || listed == if owner == "ana" { vec!["2"] } else { vec![] }, "{listed:?}");
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
    assert_eq!(bench.listed("ana").await.len(), 2);
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

/// One statement over all could outlast the database's patience, every minute anew.
async fn a_sweep_goes_in_steps_to_its_end(place: Place) {
    let bench = bench(place).await;
    bench.add("0", "ana", State::Done, Ok(Vec::new())).await;
    let row = bench.row("0").await;
    let copies = (1..=2 * SWEEP_MAX + 1).map(|id| Call { id: id.to_string(), ..row.clone() }.into_active_model());
    for some in copies.collect::<Vec<_>>().chunks(500) {
        entity::Entity::insert_many(some.to_vec()).exec(&bench.calls.store.connection).await.expect("new ids");
    }
    bench.later(RETENTION_MS);
    assert_eq!(bench.calls.sweep().await.expect("a sweep"), 2 * SWEEP_MAX + 2);
    assert_eq!(bench.calls.sweep().await.expect("a sweep"), 0);
}

malla_storage::on_every_database![
    a_sweep_goes_in_steps_to_its_end,
    only_a_queued_call_is_cancelled_and_the_others_are_left_alone,
    only_a_done_call_is_deleted,
    anothers_call_does_not_exist,
    what_nobody_in_particular_owns_is_theirs_who_know_its_id_and_in_no_list,
    a_result_is_kept_for_its_retention_and_work_for_as_long_as_it_takes,
    cancelled_and_deleted_at_once_a_call_is_cancelled_before_it_is_gone,
];
