use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{future, stream};
use http_body_util::{BodyExt as _, StreamBody};
use tonic::Code;

use super::*;

/// A body that always has a frame ready, and what is held as long as it is.
fn unceasing() -> (Body, Arc<()>) {
    let held = Arc::new(());
    let kept = held.clone();
    let frames = stream::repeat_with(move || {
        let _kept = &kept;
        Ok::<_, Status>(Frame::data(Bytes::from_static(&[0; 5])))
    });
    (Body::new(StreamBody::new(frames)), held)
}

#[tokio::test]
async fn what_is_always_ready_is_ended_and_let_go_of() {
    let soon = || Instant::now() + Duration::from_millis(50);
    let later = || Instant::now() + Duration::from_secs(60);
    let closing = CancellationToken::new();
    let closes = closing.clone();
    for (deadline, closing, expected) in [
        (soon(), None, Code::DeadlineExceeded),
        (soon(), Some(CancellationToken::new()), Code::DeadlineExceeded),
        (later(), Some(closing), Code::Unavailable),
    ] {
        let closes = closes.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            closes.cancel();
        });
        let (body, held) = unceasing();
        let mut body = bounded(body, deadline, closing);
        let status = loop {
            let frame = body.frame().await.expect("it ends with a status").unwrap();
            if let Ok(trailers) = frame.into_trailers() {
                break Status::from_header_map(&trailers).unwrap();
            }
        };
        assert_eq!(status.code(), expected);
        assert!(body.is_end_stream() && body.frame().await.is_none(), "{expected:?}");
        assert_eq!(Arc::strong_count(&held), 1, "{expected:?}: nothing waits for the client to be done");
    }
}

#[tokio::test]
async fn messages_look_for_no_end() {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    let end = future::poll_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    });
    let mut body = Bounded { body: Some(unceasing().0), end: FuturesUnordered::from_iter([end]) };
    for _ in 0..1_000 {
        assert!(body.frame().await.unwrap().unwrap().is_data());
    }
    assert_eq!(looks.load(Ordering::Relaxed), 1);
}
