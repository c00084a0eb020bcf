use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use futures_util::future::join_all;
use malla_runtime::auth::Claims;
use malla_runtime::config::Secret;
use malla_runtime::module::Context as ModuleContext;
use malla_servers::fresh_database;
use sea_orm::{ConnectionTrait as _, FromQueryResult, Statement};
use sea_orm_migration::prelude::*;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::answers::{KEPT_MS, LEASE_MS};
use super::*;
use crate::database::{Config, Store};

const PATH: &str = "/test.Service/Do";

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Effects), Box::new(Migration)]
    }
}

struct Effects;

impl MigrationName for Effects {
    fn name(&self) -> &str {
        "effects"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Effects {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("CREATE TABLE effects (text TEXT NOT NULL UNIQUE)").await?;
        Ok(())
    }
}

/// What the handler does besides what it is asked to.
#[derive(Default)]
struct Handler {
    calls: AtomicU64,
    fails: AtomicBool,
    hangs: AtomicBool,
    answer_bytes: AtomicU64,
    begun: Notify,
    go_on: Notify,
}

/// Writes two rows for each call: one in a transaction, one without.
#[derive(Clone)]
struct Effective(Store, Arc<Handler>);

impl NamedService for Effective {
    const NAME: &'static str = "test.Service";
}

impl Service<Request<Body>> for Effective {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self(store, handler) = self.clone();
        Box::pin(async move {
            let number = handler.calls.fetch_add(1, Ordering::SeqCst);
            drop(store.begin().await.expect("a transaction that comes to nothing"));
            for text in [format!("{number}"), format!("{number} again")] {
                let transaction = store.begin().await.expect("a transaction");
                let insert = format!("INSERT INTO effects VALUES ('{text}')");
                transaction.execute_unprepared(&insert).await.expect("an effect");
                transaction.commit().await.expect("a commit");
                // What failed costs nothing of what was done before.
                store.connection.execute_unprepared(&insert).await.expect_err("twice");
            }
            assert!(effects(&store).await >= 2, "a call sees its own writes");
            if handler.hangs.load(Ordering::SeqCst) {
                handler.begun.notify_one();
                handler.go_on.notified().await;
            }
            if handler.fails.load(Ordering::SeqCst) {
                return Ok(Status::failed_precondition("not now").into_http());
            }
            let padding = " ".repeat(handler.answer_bytes.load(Ordering::SeqCst) as usize);
            let message = request.into_body().collect().await.expect("a body").to_bytes();
            let answer = format!("{number} {}{padding}", String::from_utf8_lossy(&message));
            let mut response = replay(answer.into());
            response.headers_mut().remove(REPLAYED);
            Ok(response)
        })
    }
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

async fn effects(store: &Store) -> i64 {
    let query = "SELECT count(*) AS count FROM effects";
    let statement = Statement::from_string(store.connection.get_database_backend(), query);
    let count = Count::find_by_statement(statement).one(&store.connection).await.expect("a count");
    count.expect("a row").count
}

struct Bench {
    store: Store,
    handler: Arc<Handler>,
    answers: Arc<Answers>,
    now: Arc<AtomicI64>,
    _dir: TempDir,
}

async fn bench(url: Option<String>) -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let context = ModuleContext::alone(dir.path().to_owned());
    let config = Config { url: Secret::new(url.unwrap_or_default()), ..Config::default() };
    let store = Store::open::<Migrator>("test", &config, &context).await.expect("a store");
    let now = Arc::new(AtomicI64::new(1_000_000_000_000));
    let hands = now.clone();
    let clock = Arc::new(move || hands.load(Ordering::SeqCst));
    let answers = Answers::new(&store, [PATH.to_owned()].into(), clock);
    Bench { store, handler: Arc::default(), answers, now, _dir: dir }
}

/// An answer's text, and whether it was given again; or the code and the reason of an error.
type Outcome = Result<(String, bool), (Code, String)>;

impl Bench {
    fn call_as(&self, caller: Caller, key: &str, message: &str) -> impl Future<Output = Outcome> + Send + use<> {
        let mut request = Request::new(Body::new(Full::new(Bytes::from(message.to_owned()))));
        *request.uri_mut() = PATH.parse().expect("a path");
        request.headers_mut().insert(KEY, key.parse().expect("a key"));
        request.extensions_mut().insert(caller);
        let mut service = self.answers.around(Effective(self.store.clone(), self.handler.clone()));
        async move {
            let Ok(response) = service.call(request).await;
            if let Some(status) = Status::from_header_map(response.headers()) {
                let info = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
                return Err((status.code(), info));
            }
            let replayed = response.headers().contains_key(REPLAYED);
            let body = response.into_body().collect().await.expect("an answer");
            assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
            Ok((String::from_utf8(body.to_bytes().to_vec()).expect("text"), replayed))
        }
    }

    fn call(&self, key: &str, message: &str) -> impl Future<Output = Outcome> + Send + use<> {
        self.call_as(Caller::Anonymous, key, message)
    }

    fn calls(&self) -> u64 {
        self.handler.calls.load(Ordering::SeqCst)
    }

    /// Waits until a key that is being given back is free.
    async fn settled(&self, key: &str, message: &str) -> Outcome {
        for _ in 0..500 {
            match self.call(key, message).await {
                Err((Code::Aborted, _)) => tokio::time::sleep(Duration::from_millis(10)).await,
                outcome => return outcome,
            }
        }
        panic!("the key stays in use");
    }
}

fn in_use<T>() -> Result<T, (Code, String)> {
    Err((Code::Aborted, "IDEMPOTENCY_KEY_IN_USE".into()))
}

fn reused<T>() -> Result<T, (Code, String)> {
    Err((Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED".into()))
}

#[tokio::test]
async fn a_key_outlives_the_process_and_the_tokens_it_had() {
    let mut bench = bench(None).await;
    assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), false)));
    let hands = bench.now.clone();
    let clock = Arc::new(move || hands.load(Ordering::SeqCst));
    bench.answers = Answers::new(&bench.store, [PATH.to_owned()].into(), clock);
    assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), true)));
    assert_eq!(bench.call("k", "b").await, reused());
}

async fn repeats(bench: Bench) {
    let first = bench.call("k", "a").await;
    assert_eq!(first, Ok(("0 a".into(), false)));
    for _ in 0..100 {
        assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), true)));
    }
    assert_eq!(bench.call("k", "b").await, reused());
    let claims = Claims { sub: "ana".into(), ..Claims::default() };
    for (caller, expected) in [(Caller::User(claims), "1 a"), (Caller::Operator, "2 a")] {
        assert_eq!(bench.call_as(caller, "k", "a").await, Ok((expected.into(), false)), "another's key is another");
    }
    assert_eq!(bench.call("other", "a").await, Ok(("3 a".into(), false)));
    assert_eq!((bench.calls(), effects(&bench.store).await), (4, 8));

    bench.now.fetch_add(KEPT_MS - 1, Ordering::SeqCst);
    assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), true)), "known for a day");
    assert_eq!(bench.answers.sweep().await.expect("a sweep"), 0);
    bench.now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(bench.call("k", "b").await, Ok(("4 b".into(), false)), "and no longer");
    assert_eq!(bench.answers.sweep().await.expect("a sweep"), 3, "all but the one that came anew");
    assert_eq!(bench.call("k", "b").await, Ok(("4 b".into(), true)));
}

#[tokio::test]
async fn a_key_is_one_effect_and_one_answer_for_a_day() {
    repeats(bench(None).await).await;
}

#[tokio::test]
async fn a_key_is_one_effect_and_one_answer_for_a_day_in_postgresql() {
    let Some(url) = fresh_database() else { return };
    repeats(bench(Some(url)).await).await;
}

async fn at_once(bench: Bench) {
    for round in 0..5 {
        let key = round.to_string();
        let calls = (0..20).map(|_| tokio::spawn(bench.call(&key, "a")));
        let outcomes: Vec<Outcome> = join_all(calls).await.into_iter().map(|call| call.expect("no panic")).collect();
        let (answered, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert!(refused.iter().all(|refused| *refused == in_use()), "{refused:?}");
        let first: Vec<_> = answered.iter().flatten().filter(|(_, replayed)| !replayed).collect();
        assert_eq!(first.len(), 1, "{answered:?}");
        assert!(answered.iter().flatten().all(|(text, _)| *text == first[0].0));
        assert_eq!(effects(&bench.store).await, 2 * (round + 1));
    }
    assert_eq!(bench.calls(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_are_one_effect_and_the_others_get_its_answer_or_409() {
    at_once(bench(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_are_one_effect_in_postgresql_too() {
    let Some(url) = fresh_database() else { return };
    at_once(bench(Some(url)).await).await;
}

#[tokio::test]
async fn an_error_stores_nothing_and_gives_the_key_back() {
    let bench = bench(None).await;
    bench.handler.fails.store(true, Ordering::SeqCst);
    assert_eq!(bench.call("k", "a").await, Err((Code::FailedPrecondition, String::new())));
    assert_eq!(effects(&bench.store).await, 0);
    bench.handler.fails.store(false, Ordering::SeqCst);
    assert_eq!(bench.call("k", "b").await, Ok(("1 b".into(), false)), "another request, too");

    bench.handler.answer_bytes.store(ANSWER_BYTES_MAX as u64, Ordering::SeqCst);
    assert_eq!(bench.call("large", "a").await, Err((Code::FailedPrecondition, String::new())));
    assert_eq!(effects(&bench.store).await, 2, "what cannot be answered again is not done");
}

#[tokio::test]
async fn a_caller_that_leaves_leaves_no_effect_and_its_retry_runs() {
    let bench = bench(None).await;
    bench.handler.hangs.store(true, Ordering::SeqCst);
    let call = tokio::spawn(bench.call("k", "a"));
    bench.handler.begun.notified().await;
    assert_eq!(effects(&bench.store).await, 0, "not seen by others before its end");
    call.abort();
    bench.handler.hangs.store(false, Ordering::SeqCst);
    assert_eq!(bench.settled("k", "a").await, Ok(("1 a".into(), false)));
    assert_eq!(effects(&bench.store).await, 2);
}

#[tokio::test]
async fn what_a_crash_left_is_taken_over_after_its_lease_and_not_before() {
    let bench = bench(None).await;
    // As a process leaves it that ended after the claim.
    let Ok(Claim::Mine(attempt)) = bench.answers.claim(format!("{PATH} k "), b"a").await else { panic!("a claim") };
    std::mem::forget(attempt);
    bench.now.fetch_add(LEASE_MS - 1, Ordering::SeqCst);
    assert_eq!(bench.call("k", "a").await, in_use());
    assert_eq!(bench.call("k", "b").await, reused());
    bench.now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), false)));
}

#[tokio::test]
async fn who_was_overtaken_changes_nothing() {
    let bench = bench(None).await;
    bench.handler.hangs.store(true, Ordering::SeqCst);
    let scope = Scope::new(bench.answers.connection());
    let Ok(Claim::Mine(slow)) = bench.answers.claim(format!("{PATH} k "), b"a").await else { panic!("a claim") };
    bench.now.fetch_add(LEASE_MS, Ordering::SeqCst);
    bench.handler.hangs.store(false, Ordering::SeqCst);
    assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), false)));
    let insert = "INSERT INTO effects VALUES ('late')";
    scope.run(bench.store.connection.execute_unprepared(insert)).await.expect("kept");
    assert_eq!(end(slow, scope, Bytes::new()).await.expect_err("too late").code(), Code::Aborted);
    assert_eq!(effects(&bench.store).await, 2);
    assert_eq!(bench.call("k", "a").await, Ok(("0 a".into(), true)), "the answer is that of the other");
}

#[tokio::test]
async fn a_service_called_within_a_call_has_its_own_transactions() {
    let (ours, theirs) = (bench(None).await, bench(None).await);
    let scope = Scope::new(ours.answers.connection());
    let called = scope.run(theirs.call("k", "a")).await;
    drop(scope);
    assert_eq!((called, effects(&theirs.store).await), (Ok(("0 a".into(), false)), 2));
}

#[tokio::test]
async fn what_is_to_be_done_afterwards_waits_for_the_commit() {
    let bench = bench(None).await;
    let done = Arc::new(AtomicBool::new(false));
    let work = |done: Arc<AtomicBool>| async move { done.store(true, Ordering::SeqCst) };
    let scope = Scope::new(bench.answers.connection());
    scope.run(bench.store.afterwards(work(done.clone()))).await;
    assert!(!done.load(Ordering::SeqCst));
    let Ok(Claim::Mine(attempt)) = bench.answers.claim("id".into(), b"a").await else { panic!("a claim") };
    end(attempt, scope, Bytes::new()).await.expect("a commit");
    assert!(done.swap(false, Ordering::SeqCst));
    bench.store.afterwards(work(done.clone())).await;
    assert!(done.load(Ordering::SeqCst), "at once, without a key");
}

#[test]
fn a_key_is_one_word_of_at_most_255_characters() {
    let of = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, value.parse().expect("a value"));
        }
        key(&headers).map(|key| key.map(str::to_owned)).map_err(|status| status.code())
    };
    let longest = "k".repeat(KEY_CHARS_MAX);
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&[&longest]), Ok(Some(longest.clone())));
    for bad in [&[""][..], &["a b"], &["\u{e9}"], &[&format!("{longest}k")], &["a", "a"]] {
        assert_eq!(of(bad), Err(Code::InvalidArgument), "{bad:?}");
    }
}
