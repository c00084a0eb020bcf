//! A hop between two processes that a test sees through and disturbs: it passes gRPC calls on, unless told otherwise.
//!
//! Unlike the faulty network, which knows bytes only, it tells calls apart: health checks always pass.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::transport::Channel;

/// What becomes of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// They pass.
    Well,
    /// So many in a hundred are answered with UNAVAILABLE.
    Failing(usize),
    /// They pass after a while.
    Slow(Duration),
    /// They are never answered.
    Hanging,
}

/// A call that came by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) began: Instant,
    /// What its `grpc-timeout` said.
    pub(crate) timeout: Option<Duration>,
    /// When it was answered or given up.
    pub(crate) ended: Option<Instant>,
}

/// A hop in front of one process; it ends when dropped.
pub(crate) struct Hop {
    address: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: Channel,
    mood: Mutex<Mood>,
    seen: Mutex<Vec<Seen>>,
    turns: AtomicUsize,
}

impl Hop {
    /// Passes calls on to `target`, `http://host:port`.
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let target = Channel::from_shared(target.to_owned()).unwrap().connect_lazy();
        let (mood, seen, turns) = (Mutex::new(Mood::Well), Mutex::default(), AtomicUsize::new(0));
        let shared = Arc::new(Shared { target, mood, seen, turns });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { address, shared, accepting }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on; calls that hang already go on hanging.
    pub(crate) fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// All calls so far, but for those about health.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| handle(shared.clone(), request));
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.uri().path().starts_with("/grpc.health.v1.") {
        return Ok(pass(&shared, request).await);
    }
    let _noted = Noted::begin(&shared, &request);
    let mood = *shared.mood.lock().unwrap();
    match mood {
        // Spread evenly: 37 and 100 have no common divisor.
        Mood::Failing(percent) if shared.turns.fetch_add(37, Ordering::Relaxed) % 100 < percent => {
            return Ok(Status::unavailable("disturbed").into_http());
        }
        Mood::Well | Mood::Failing(_) => {}
        Mood::Slow(delay) => tokio::time::sleep(delay).await,
        Mood::Hanging => std::future::pending().await,
    }
    Ok(pass(&shared, request).await)
}

async fn pass(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let mut target = shared.target.clone();
    let answer = async {
        poll_fn(|context| target.poll_ready(context)).await?;
        target.call(request.map(Body::new)).await
    };
    answer.await.unwrap_or_else(|error| Status::unavailable(error.to_string()).into_http())
}

/// Notes a call, and, when dropped, its end.
struct Noted<'h>(&'h Shared, usize);

impl<'h> Noted<'h> {
    fn begin(shared: &'h Shared, request: &Request<Incoming>) -> Self {
        let timeout = malla_runtime::call::timeout(request.headers());
        let mut seen = shared.seen.lock().unwrap();
        seen.push(Seen { began: Instant::now(), timeout, ended: None });
        Self(shared, seen.len() - 1)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.seen.lock().unwrap()[self.1].ended = Some(Instant::now());
    }
}
