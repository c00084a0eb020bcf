use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};

use super::*;
use crate::auth;

/// Answers with a stream that a test makes.
#[derive(Clone)]
struct Streaming(fn() -> BoxStream<'static, Result<Frame<Bytes>, Status>>);

impl tonic::server::NamedService for Streaming {
    const NAME: &'static str = "test.Streaming";
}

impl Service<Request<Body>> for Streaming {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::new(StreamBody::new((self.0)())))))
    }
}

fn guard(calls_max: usize, streaming: fn() -> BoxStream<'static, Result<Frame<Bytes>, Status>>) -> Guard {
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let config = Config { calls_max, ..Config::default() };
    Guard::new(Routes::new(Streaming(streaming)), Policies::default(), authenticator, &config)
}

async fn call(guard: &Guard, timeout: &str) -> Response<Body> {
    let request = Request::post("/test.Streaming/Call").header(call::TIMEOUT, timeout);
    let Ok(response) = guard.clone().call(request.body(Body::empty()).expect("a request")).await;
    response
}

/// How a response ends: the bytes of its messages, and the status in its trailers.
async fn end(response: Response<Body>) -> (Bytes, Status) {
    let collected = response.into_body().collect().await.expect("trailers, not a broken body");
    let status = Status::from_header_map(collected.trailers().expect("trailers")).expect("a status");
    (collected.to_bytes(), status)
}

fn one() -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from_static(b"one")))
}

fn one_and_silence() -> BoxStream<'static, Result<Frame<Bytes>, Status>> {
    stream::iter([one()]).chain(stream::pending()).boxed()
}

fn one_and_a_panic() -> BoxStream<'static, Result<Frame<Bytes>, Status>> {
    stream::iter([one()]).chain(stream::poll_fn(|_| panic!("a handler's fault"))).boxed()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_ends_ends_with_the_deadline() {
    let (guard, began) = (guard(1, one_and_silence), Instant::now());
    let (bytes, status) = end(call(&guard, "2S").await).await;
    assert_eq!((&bytes[..], status.code()), (&b"one"[..], Code::DeadlineExceeded));
    // The timer wheel is a millisecond coarse.
    let late = began.elapsed().checked_sub(Duration::from_secs(2)).expect("not early");
    assert!(late <= Duration::from_millis(2), "{late:?}");
}

#[tokio::test]
async fn a_stream_that_panics_ends_with_internal_and_takes_nothing_with_it() {
    let (bytes, status) = end(call(&guard(1, one_and_a_panic), "2S").await).await;
    assert_eq!((&bytes[..], status.code(), status.message()), (&b"one"[..], Code::Internal, "internal error"));
}

/// The longest timeout gRPC can write is eleven thousand years.
#[tokio::test(start_paused = true)]
async fn a_permit_is_kept_until_the_response_is_over() {
    let guard = guard(1, one_and_silence);
    let first = call(&guard, "99999999H").await;
    let refused = Status::from_header_map(call(&guard, "1S").await.headers()).expect("a status");
    assert_eq!(refused.code(), Code::Unavailable);
    drop(first);
    assert!(call(&guard, "1S").await.headers().get("grpc-status").is_none());
}
