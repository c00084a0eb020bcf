//! What stands around the routes of a service, whichever way a call comes: over a socket or a local link.
//!
//! In this order: trace, credentials, concurrency limit, deadline, panics. A local link has no transport server
//! around it, so none of these may live there.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::{Instrument as _, Span};

use crate::auth::Authenticator;
use crate::call::{self, Call};
use crate::policy::{Access, Policies};
use crate::status::unavailable;
use crate::telemetry::{self, RpcMetrics};

/// The label of methods that are not known: not what a client made up.
const OTHER: &str = "_OTHER";

/// Section `[server]`: limits of each service's own server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls a service handles at the same time; more are refused with UNAVAILABLE: 1 to 1000000. Default 1000.
    pub calls_max: usize,
    /// The deadline of methods that declare none: 1 to 3600000. Default 15000.
    pub deadline_ms: u64,
    /// Connections a service's port accepts; more wait in the backlog: 1 to 1000000. Default 1000.
    pub connections_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { calls_max: 1_000, deadline_ms: 15_000, connections_max: 1_000 }
    }
}

/// Guarded routes; cheap to clone.
#[derive(Clone)]
pub struct Guard {
    routes: Routes,
    shared: Arc<Shared>,
}

struct Shared {
    policies: Policies,
    authenticator: Arc<Authenticator>,
    calls: Arc<Semaphore>,
    deadline: Duration,
    metrics: RpcMetrics,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Guard")
    }
}

impl Guard {
    /// Guards routes by the policies of their methods. Methods without one (health, reflection) are open to anyone
    /// and have no deadline of their own.
    #[must_use]
    pub fn new(routes: Routes, policies: Policies, authenticator: Arc<Authenticator>, config: &Config) -> Self {
        let shared = Shared {
            policies,
            authenticator,
            calls: Arc::new(Semaphore::new(config.calls_max)),
            deadline: Duration::from_millis(config.deadline_ms),
            metrics: RpcMetrics::default(),
        };
        Self { routes: routes.prepare(), shared: Arc::new(shared) }
    }
}

impl Service<Request<Body>> for Guard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let span = tracing::info_span!(
            "rpc",
            otel.name = tracing::field::Empty,
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.method = tracing::field::Empty,
            rpc.grpc.status_code = tracing::field::Empty,
        );
        telemetry::set_parent(&span, request.headers());
        let (routes, shared) = (self.routes.clone(), self.shared.clone());
        Box::pin(async move { Ok(handle(routes, shared, request).await) }.instrument(span))
    }
}

async fn handle(mut routes: Routes, shared: Arc<Shared>, mut request: Request<Body>) -> Response<Body> {
    let started = Instant::now();
    let path = request.uri().path().to_owned();
    let policy = shared.policies.get(&path);
    let asked = call::timeout(request.headers());
    let allowed = policy.map(|policy| policy.deadline.unwrap_or(shared.deadline));
    let deadline = [asked, allowed].into_iter().flatten().min().map(|time| started + time);
    let path = if policy.is_some() { path } else { OTHER.to_owned() };
    let name = path.trim_start_matches('/');
    Span::current().record("otel.name", name).record("rpc.method", name);

    let admitted = (|| {
        let access = policy.map_or(Access::Anyone, |policy| policy.access);
        // To check a token costs more than all the rest.
        let permit = shared.calls.clone().try_acquire_owned();
        let permit = permit.map_err(|_| unavailable("the service is at its limit of calls", Duration::from_secs(1)))?;
        Ok((shared.authenticator.authenticate(request.headers(), access)?, permit))
    })();
    let (caller, permit) = match admitted {
        Ok(admitted) => admitted,
        Err(status) => return refuse(&shared.metrics, &path, started, &status),
    };
    request.extensions_mut().insert(caller);

    let call = Call::new(deadline, request.headers());
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return refuse(&shared.metrics, &path, started, &expired());
    }
    let handling = AssertUnwindSafe(call.clone().scope(async move { routes.call(request).await })).catch_unwind();
    let outcome = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, handling).await.map_err(|_| expired()),
        None => Ok(handling.await),
    };
    match outcome {
        Ok(Ok(Ok(response))) => {
            // An error without a message has its status here; any other answer has it in the trailers.
            let code = Status::from_header_map(response.headers()).map_or(Code::Cancelled, |status| status.code());
            let record = Record { shared, path, started, code, span: Span::current(), _permit: permit };
            let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
            response.map(|body| Body::new(Guarded { body, call, deadline, ended: false, record }))
        }
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_panic)) => {
            tracing::error!(rpc.method = %path, "a handler panicked");
            refuse(&shared.metrics, &path, started, &Status::internal("internal error"))
        }
        Err(status) => refuse(&shared.metrics, &path, started, &status),
    }
}

fn expired() -> Status {
    Status::deadline_exceeded("the deadline passed before the call ended")
}

fn refuse(metrics: &RpcMetrics, path: &str, started: Instant, status: &Status) -> Response<Body> {
    metrics.record(path, status.code(), started.elapsed());
    Span::current().record("rpc.grpc.status_code", i32::from(status.code()));
    status.clone().into_http()
}

/// A response body that ends with the call's deadline, keeps its permit until then and records how it ended.
struct Guarded {
    body: Body,
    /// Of which a stream's own calls are part as well.
    call: Call,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
    record: Record,
}

/// Written down when the response is over, or dropped because the caller left (code CANCELLED then).
struct Record {
    shared: Arc<Shared>,
    path: String,
    started: Instant,
    code: Code,
    span: Span,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.shared.metrics.record(&self.path, self.code, self.started.elapsed());
        self.span.record("rpc.grpc.status_code", i32::from(self.code));
    }
}

impl Guarded {
    /// Ends the response early: the trailers that say why.
    fn end(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.ended = true;
        self.record.code = status.code();
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(self.end(&expired())));
        }
        let Self { body, call, .. } = &mut *self;
        let body = AssertUnwindSafe(|| call.step(|| Pin::new(body).poll_frame(context)));
        let Ok(polled) = std::panic::catch_unwind(body) else {
            tracing::error!(rpc.method = %self.record.path, "a stream panicked");
            return Poll::Ready(Some(self.end(&Status::internal("internal error"))));
        };
        let frame = ready!(polled);
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.record.code = Status::from_header_map(trailers).map_or(Code::Ok, |status| status.code());
                }
            }
            Some(Err(status)) => self.record.code = status.code(),
            None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
