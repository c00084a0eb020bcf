//! Attempts that end as a test says.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use malla_runtime::link::Link;
use malla_storage::testing::Place;

use super::*;
use crate::doorbell::local::Local;
use crate::store::tests::{Bench, DEADLINE_MS, bench, bench_with, draft};
use crate::store::{Draft, Seen, State};

const SOON: Duration = Duration::from_secs(60);

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
        promised: Arc::default(),
        metrics: Metrics::default(),
        places: Arc::default(),
        shutdown: Shutdown::new(SOON),
    };
    let id = bench.promised(draft("", "k", &[1])).await.id;
    Set { worker, mesh, bench, id }
}

impl Set {
    async fn attend(&self) -> Call {
        self.worker.attend(&self.id).await.expect("a store");
        self.bench.row(&self.id).await
    }

    /// Attends as often as it is due, until it is done.
    async fn to_the_end(&self) -> Call {
        for _ in 0..20_000 {
            let call = self.attend().await;
            if Seen::from(call.clone()).is_done() {
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

/// Files hang, all else answers.
struct Hung;

impl Caller for Hung {
    fn attempt(&self, call: &Call) -> BoxFuture<'static, Result<Bytes, Status>> {
        let hangs = call.method.starts_with("malla.files.");
        async move { if hangs { std::future::pending().await } else { Ok(Bytes::new()) } }.boxed()
    }
}

fn listing(key: &str) -> Draft {
    Draft { method: "malla.files.v1.FilesService/ListFileNames".into(), ..draft("", key, &[1]) }
}

async fn until<F: Future<Output = bool>>(what: &str, look: impl Fn() -> F) {
    let looking = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The bell rings before the promise is written, and a worker may be quicker.
#[tokio::test]
async fn a_ring_waits_for_the_promise_of_its_call() {
    let set = set(|_| Ok(Bytes::new())).await;
    let call = set.bench.calls.insert(draft("", "unpromised", &[1])).await.expect("room");
    let promise = async {
        tokio::task::yield_now().await;
        assert_eq!(set.mesh.attempts.load(Ordering::SeqCst), 0);
        assert!(set.bench.calls.confirm(&call.id, || true).await.expect("a store"));
        set.worker.promised.notify_waiters();
    };
    let (attended, ()) = tokio::join!(set.worker.attend(&call.id), promise);
    attended.expect("a store");
    assert_eq!(set.bench.row(&call.id).await.state, State::Done);
    let never = set.bench.calls.insert(draft("", "never", &[1])).await.expect("room");
    set.worker.attend(&never.id).await.expect("a store");
    assert_eq!(set.bench.row(&never.id).await.attempts, 0, "whoever asked for it was refused");
}

/// With the clock at rest: what finds no place is carried out by those that have one.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_leaves_places_for_others() {
    let mut set = set(|_| Ok(Bytes::new())).await;
    let bench = bench_with(Place::sqlite(), crate::Config::default()).await;
    (set.worker.mesh, set.worker.calls) = (Arc::new(Hung), bench.calls.clone());
    let worker = Arc::new(set.worker);
    let (shutdown, bell) = (worker.shutdown.clone(), worker.bell.clone());
    shutdown.spawn(worker.run());
    for key in 0..40 {
        let id = bench.promised(listing(&key.to_string())).await.id;
        bell.ring(&id).await.expect("heard");
    }
    let running = || async { bench.calls.stats().await.expect("counts").running };
    until("as many as may are at the files", || async { running().await == 5 }).await;
    let mut ids = Vec::new();
    for key in 0..40 {
        let id = bench.promised(draft("", &key.to_string(), &[1])).await.id;
        bell.ring(&id).await.expect("heard");
        ids.push(id);
    }
    for id in ids {
        until("each comment is made", || async { bench.row(&id).await.state == State::Done }).await;
    }
    assert_eq!(running().await, 5, "no more than may");
    tokio::join!(shutdown.begin(Duration::ZERO), shutdown.drained());
    assert_eq!(running().await, 0, "draining waits until calls are given back");
}

#[tokio::test]
async fn the_bell_is_rung_while_a_worker_is_left_and_never_in_vain() {
    let set = set(|_| Ok(Bytes::new())).await;
    let place = || set.worker.places.take("a.v1.A/M");
    let taken: Vec<_> = std::iter::from_fn(place).collect();
    assert_eq!((taken.len(), set.worker.places.full()), (places::SERVICE_ATTEMPTS_MAX, vec!["a.v1.A".to_owned()]));
    assert!(!set.worker.places.all_taken() && set.worker.places.take("b.v1.B/M").is_some());
    drop(taken);
    assert!(set.worker.places.full().is_empty());
    let many: Vec<_> = (0..ATTEMPTS_MAX).map(|number| set.worker.places.take(&format!("{number}/M"))).collect();
    assert!(many.iter().all(Option::is_some) && set.worker.places.all_taken());
    drop(many);

    struct Broken;
    #[async_trait::async_trait]
    impl Doorbell for Broken {
        async fn ring(&self, _: &str) -> Result<(), crate::doorbell::Unheard> {
            Err(crate::doorbell::Unheard("broken".into()))
        }
        async fn heard(&self) -> Ring {
            std::future::pending().await
        }
        fn is_well(&self) -> bool {
            true
        }
    }
    set.bench.later(5_000);
    let worker = Worker { bell: Arc::new(Broken), ..set.worker };
    worker.ring().await.expect("a store");
    assert_eq!(set.bench.calls.due(&[]).await.expect("a store"), [set.id], "it was not rung for");
}

/// An answer is known, and the store away for a moment: another attempt would have to find it out anew.
#[tokio::test]
async fn an_answer_that_cannot_be_stored_yet_is_stored_later() {
    let set = set(|_| Ok(Bytes::new())).await;
    let claimed = set.bench.calls.claim(&set.id).await.expect("a store").expect("due");
    let answered = Outcome::Done(Ok(b"known".to_vec()));
    let settle = || set.worker.settle(&claimed, &answered);
    set.bench.hide(true).await;
    let back = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        set.bench.hide(false).await;
    };
    let (settled, ()) = tokio::join!(settle(), back);
    settled.expect("stored");
    assert_eq!(set.bench.row(&set.id).await.response, Some(b"known".to_vec()));
    set.bench.hide(true).await;
    set.bench.now.store(claimed.next_attempt_ms, Ordering::SeqCst);
    assert!(settle().await.is_err(), "its lease is over, another may have begun");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_kept() {
    for (bytes, kept) in [(RESULT_BYTES_MAX, true), (RESULT_BYTES_MAX + 1, false)] {
        let set = set(move |_| Ok(vec![0; bytes].into())).await;
        let call = set.to_the_end().await;
        assert_eq!(call.response.is_some(), kept, "{bytes}");
        assert!(kept || failure(&call).message.contains("1048577 bytes"), "{call:?}");
    }
}

#[tokio::test]
async fn draining_gives_a_call_back_at_once() {
    let mut set = set(|_| Ok(Bytes::new())).await;
    set.worker.mesh = Arc::new(Hung);
    set.id = set.bench.promised(listing("k")).await.id;
    let shutdown = set.worker.shutdown.clone();
    let (call, ()) = tokio::join!(set.attend(), shutdown.begin(Duration::ZERO));
    assert_eq!((call.state, call.crashes), (State::Queued, 0));
    assert_eq!(call.next_attempt_ms, set.bench.now.load(Ordering::SeqCst));
}
