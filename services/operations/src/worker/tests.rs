//! Attempts that end as a test says.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use malla_runtime::link::Link;
use malla_storage::testing::Place;

use super::*;
use crate::doorbell::local::Local;
use crate::store::tests::{Bench, DEADLINE_MS, bench};
use crate::store::{Draft, State};

/// Says how the attempt with this number ends, counted from 1.
type Script = Box<dyn Fn(usize) -> Result<Bytes, Status> + Send + Sync>;

struct Scripted {
    script: Script,
    attempts: AtomicUsize,
}

impl Caller for Scripted {
    fn attempt(&self, _: &Call) -> BoxFuture<'static, Result<Bytes, Status>> {
        let attempt = self.attempts.fetch_add(1, Ordering::SeqCst) + 1;
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| (self.script)(attempt)));
        async move { ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) }.boxed()
    }
}

struct Set {
    worker: Worker,
    mesh: Arc<Scripted>,
    bench: Bench,
    id: String,
}

async fn set(script: impl Fn(usize) -> Result<Bytes, Status> + Send + Sync + 'static) -> Set {
    let bench = bench(Place::sqlite()).await;
    let mesh = Arc::new(Scripted { script: Box::new(script), attempts: AtomicUsize::new(0) });
    let worker = Worker {
        calls: bench.calls.clone(),
        bell: Arc::new(Local::new()),
        mesh: mesh.clone(),
        ended: Arc::default(),
        clock: bench.clock.clone(),
        metrics: Metrics::default(),
        shutdown: Shutdown::default(),
    };
    let draft = Draft {
        owner: String::new(),
        username: String::new(),
        method: "malla.comments.v1.CommentsService/CreateComment".into(),
        request: vec![1],
        response_type: "malla.comments.v1.CreateCommentResponse".into(),
        key: "k".into(),
    };
    let id = bench.calls.insert(draft).await.expect("room").id;
    Set { worker, mesh, bench, id }
}

impl Set {
    async fn attend(&self) -> Call {
        self.worker.attend(&self.id).await.expect("a store");
        self.bench.calls.find(&self.id).await.expect("a store").expect("kept")
    }

    /// Attends as often as it is due, until it is done.
    async fn to_the_end(&self) -> Call {
        for _ in 0..20_000 {
            let call = self.attend().await;
            if call.is_done() {
                return call;
            }
            self.bench.now.store(call.next_attempt_ms, Ordering::SeqCst);
        }
        panic!("it never ends");
    }
}

fn failure(call: &Call) -> rpc::Status {
    rpc::Status::decode(call.error.as_deref().expect("an error")).expect("a status")
}

async fn unreached() -> Status {
    let link = Link::remote("nobody", &"http://127.0.0.1:1".parse().expect("an address"));
    let status = malla_contracts::malla::comments::v1::comments_service_client::CommentsServiceClient::new(link)
        .create_comment(malla_contracts::malla::comments::v1::CreateCommentRequest::default())
        .await;
    status.expect_err("nobody is there")
}

#[tokio::test]
async fn a_response_is_kept_with_its_type() {
    let set = set(|_| Ok(Bytes::from_static(b"\x0a\x01x"))).await;
    let call = set.to_the_end().await;
    let any = Any::decode(call.response.as_deref().expect("a response")).expect("an Any");
    assert_eq!(any.type_url, "type.googleapis.com/malla.comments.v1.CreateCommentResponse");
    assert_eq!((any.value.as_slice(), call.attempts), (b"\x0a\x01x".as_slice(), 1));
    set.attend().await;
    assert_eq!(set.mesh.attempts.load(Ordering::SeqCst), 1, "a ring too many finds nothing to do");
}

#[tokio::test]
async fn what_may_have_come_to_nothing_is_tried_again_and_what_would_end_the_same_is_not() {
    use Code::{
        Aborted, AlreadyExists, DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument, NotFound,
        PermissionDenied, ResourceExhausted, Unavailable, Unknown,
    };
    for code in [Unavailable, Aborted, ResourceExhausted, DeadlineExceeded] {
        let set =
            set(move |attempt| if attempt < 4 { Err(Status::new(code, "later")) } else { Ok(Bytes::new()) }).await;
        let call = set.to_the_end().await;
        assert_eq!((call.attempts, call.crashes, call.error), (4, 0, None), "{code:?}");
    }
    for code in [InvalidArgument, NotFound, FailedPrecondition, AlreadyExists, PermissionDenied, Internal, Unknown] {
        let set = set(move |_| Err(tonic_status(code))).await;
        let call = set.to_the_end().await;
        assert_eq!((call.attempts, failure(&call).code), (1, i32::from(code)), "{code:?}");
        assert_eq!(failure(&call).details.len(), 1, "details are kept");
    }
}

fn tonic_status(code: Code) -> Status {
    let any = Any { type_url: "t".into(), value: vec![1] };
    let details = rpc::Status { code: code.into(), message: "no".into(), details: vec![any] }.encode_to_vec();
    Status::with_details(code, "no", details.into())
}

#[tokio::test]
async fn pauses_grow_and_are_short_for_a_service_that_is_away() {
    let lost = unreached().await;
    let away: Vec<_> = (1..=6).filter_map(|attempt| pause_ms(&lost, attempt)).collect();
    assert_eq!(away, [250, 500, 1_000, 2_000, 2_000, 2_000]);
    let failing: Vec<_> = (1..=8).filter_map(|attempt| pause_ms(&Status::unavailable("no"), attempt)).collect();
    assert_eq!(failing, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert_eq!(pause_ms(&Status::aborted("no"), i32::MAX), Some(60_000));
}

#[tokio::test]
async fn past_its_deadline_a_call_is_given_up() {
    let set = set(|_| Err(Status::unavailable("away"))).await;
    let began = set.bench.now.load(Ordering::SeqCst);
    let call = set.to_the_end().await;
    assert_eq!(failure(&call).code, i32::from(Code::DeadlineExceeded));
    let took = set.bench.now.load(Ordering::SeqCst) - began;
    assert!((DEADLINE_MS..DEADLINE_MS + 60_001).contains(&took), "{took}");
}

#[tokio::test]
async fn what_kills_its_workers_is_given_up_after_five_times() {
    let panicking = set(|_| panic!("poison")).await;
    let call = panicking.to_the_end().await;
    assert_eq!((failure(&call).code, panicking.mesh.attempts.load(Ordering::SeqCst)), (i32::from(Code::Internal), 5));

    let set = set(|_| Ok(Bytes::new())).await;
    for _ in 0..5 {
        let claimed = set.bench.calls.claim(&set.id).await.expect("a store").expect("due");
        set.bench.now.store(claimed.next_attempt_ms, Ordering::SeqCst);
    }
    let call = set.to_the_end().await;
    assert_eq!((failure(&call).code, set.mesh.attempts.load(Ordering::SeqCst)), (i32::from(Code::Internal), 0));
}

/// The effect took place, the worker died before it could say so: it is called again, under the same key.
#[tokio::test]
async fn a_worker_that_dies_between_effect_and_answer_costs_a_repetition_and_no_call() {
    for _ in 0..100 {
        let set = set(|_| Ok(Bytes::new())).await;
        let claimed = set.bench.calls.claim(&set.id).await.expect("a store").expect("due");
        let effect = set.mesh.attempt(&claimed).await;
        effect.expect("an effect");
        set.bench.now.store(claimed.next_attempt_ms, Ordering::SeqCst);
        let call = set.to_the_end().await;
        assert_eq!((call.state, call.crashes, call.attempts), (State::Done, 1, 2));
        assert_eq!(call.idempotency_key, claimed.idempotency_key);
    }
}

#[tokio::test]
async fn draining_gives_a_call_back_at_once() {
    struct Endless;
    impl Caller for Endless {
        fn attempt(&self, _: &Call) -> BoxFuture<'static, Result<Bytes, Status>> {
            std::future::pending().boxed()
        }
    }
    let mut set = set(|_| Ok(Bytes::new())).await;
    set.worker.mesh = Arc::new(Endless);
    let shutdown = set.worker.shutdown.clone();
    let (call, ()) = tokio::join!(set.attend(), shutdown.begin(Duration::ZERO));
    assert_eq!((call.state, call.crashes), (State::Queued, 0));
    assert_eq!(call.next_attempt_ms, set.bench.now.load(Ordering::SeqCst));
}
