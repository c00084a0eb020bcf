//! The admin port: metrics for Prometheus, liveness and readiness for an orchestrator. For loopback or a private
//! network only.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use malla_runtime::health::{Registry, State};
use malla_runtime::shutdown::Shutdown;
use malla_runtime::telemetry::Telemetry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

const CONNECTIONS_MAX: usize = 64;
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What the admin port shows.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// For `/metrics`.
    pub(crate) telemetry: Arc<Telemetry>,
    /// For `/health/ready`: ready when all of them serve and the process is not about to end.
    pub(crate) health: Vec<Registry>,
}

/// Serves `/metrics`, `/health/live` and `/health/ready` until the process drains.
///
/// # Errors
/// None after the listener is bound; the result is there for the caller's `?`.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, shutdown: Shutdown) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accept = async {
        loop {
            let Ok(permit) = connections.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let (admin, shutdown) = (admin.clone(), shutdown.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let response = admin.answer(&request, shutdown.unready().now_or_never().is_none());
                    async move { Ok::<_, Infallible>(response) }
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                drop(permit);
            });
        }
    };
    tokio::select! { () = accept => {}, () = shutdown.draining() => {} }
    Ok(())
}

impl Admin {
    fn answer(&self, request: &Request<Incoming>, staying: bool) -> Response<Full<Bytes>> {
        let (status, text) = match request.uri().path() {
            "/metrics" => (StatusCode::OK, self.telemetry.render()),
            "/health/live" => (StatusCode::OK, "alive\n".to_owned()),
            "/health/ready" if staying && self.ready() => (StatusCode::OK, "ready\n".to_owned()),
            "/health/ready" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "here are /metrics, /health/live and /health/ready\n".to_owned()),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }

    fn ready(&self) -> bool {
        self.health.iter().all(|registry| registry.get("") == Some(State::Serving))
    }
}
