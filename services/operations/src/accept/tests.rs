use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::doorbell::{Ring, Unheard};
use crate::store::tests::{Bench, bench};

/// A doorbell that can be broken.
#[derive(Default)]
struct Fragile(AtomicBool);

#[async_trait]
impl Doorbell for Fragile {
    async fn ring(&self, _: &str) -> Result<(), Unheard> {
        tokio::task::yield_now().await;
        if self.0.load(Ordering::SeqCst) { Err(Unheard("broken".into())) } else { Ok(()) }
    }

    async fn heard(&self) -> Ring {
        std::future::pending().await
    }

    fn is_well(&self) -> bool {
        true
    }
}

async fn accepting(broken: bool) -> (Accepting, Arc<Fragile>, Bench) {
    let (bench, bell) = (bench(Place::sqlite()).await, Arc::new(Fragile(AtomicBool::new(broken))));
    let accepting = Accepting::new(bench.calls.clone(), bell.clone(), Arc::default());
    (Accepting { promise_timeout: Duration::from_secs(60), ..accepting }, bell, bench)
}

fn call(key: &str) -> proto::AcceptCallRequest {
    proto::AcceptCallRequest {
        method: "malla.comments.v1.CommentsService/CreateComment".into(),
        request: b"1".to_vec().into(),
        response_type: "malla.comments.v1.CreateCommentResponse".into(),
        subject: "1".into(),
        username: "ana".into(),
        idempotency_key: key.into(),
    }
}

async fn accept(accepting: &Accepting, request: proto::AcceptCallRequest) -> Result<String, Code> {
    let accepted = accepting.accept_call(Request::new(request)).await.map_err(|status| status.code())?;
    Ok(accepted.into_inner().operation.expect("an operation").name)
}

#[tokio::test]
async fn an_accepted_call_is_stored_and_the_same_key_finds_it_again() {
    let (accepting, _bell, bench) = accepting(false).await;
    let name = accept(&accepting, call("k")).await.expect("accepted");
    assert_eq!(accept(&accepting, call("k")).await, Ok(name.clone()));
    let stored = bench.row(name.trim_start_matches("operations/")).await;
    assert!((stored.confirmed, stored.username.as_str()) == (true, "ana"));
    let other = proto::AcceptCallRequest { request: b"2".to_vec().into(), ..call("k") };
    assert_eq!(accept(&accepting, other).await, Err(Code::AlreadyExists));
}

#[tokio::test]
async fn what_the_bell_was_not_rung_for_is_refused_and_never_carried_out() {
    let (accepting, bell, bench) = accepting(true).await;
    assert_eq!(accept(&accepting, call("k")).await, Err(Code::Unavailable));
    assert_eq!(bench.calls.stats().await.expect("counts").queued, 0);
    bell.0.store(false, Ordering::SeqCst);
    accept(&accepting, call("k")).await.expect("the key is free again");
}

#[tokio::test]
async fn what_was_rung_for_too_late_is_refused_and_never_carried_out() {
    let (accepting, _bell, bench) = accepting(false).await;
    let late = Accepting { promise_timeout: Duration::ZERO, ..accepting.clone() };
    assert_eq!(accept(&late, call("k")).await, Err(Code::Unavailable));
    assert_eq!(bench.calls.stats().await.expect("counts").queued, 0);
    accept(&accepting, call("k")).await.expect("the key is free again");
}

/// One is refused and takes its row back, the other is promised it: they must not both be right.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_promised_to_one_is_not_taken_back_by_another() {
    for round in 0..30 {
        let (accepting, bell, bench) = accepting(true).await;
        let racing = (0..4).map(|_| {
            tokio::spawn({
                let accepting = accepting.clone();
                async move { accept(&accepting, call("k")).await }
            })
        });
        let racing: Vec<_> = racing.collect();
        bell.0.store(round % 3 == 0, Ordering::SeqCst);
        for outcome in futures_util::future::join_all(racing).await {
            if let Ok(name) = outcome.expect("no panic") {
                let id = name.trim_start_matches("operations/");
                assert!(bench.calls.get("1", id).await.is_ok(), "a promised call is lost");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_refused() {
    let (accepting, _bell, _bench) = accepting(false).await;
    for request in [
        proto::AcceptCallRequest { method: "CreateComment".into(), ..call("k") },
        proto::AcceptCallRequest { method: "a.b.C/D E".into(), ..call("k") },
        proto::AcceptCallRequest { request: vec![0; REQUEST_BYTES_MAX + 1].into(), ..call("k") },
        call(""),
        call(&"k".repeat(256)),
        call("k\n"),
    ] {
        assert_eq!(accept(&accepting, request).await, Err(Code::InvalidArgument));
    }
}
