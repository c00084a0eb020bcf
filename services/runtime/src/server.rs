//! The gRPC server of a service that has a port of its own: HTTP/2 without TLS, with limits, drained on shutdown.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use malla_balancer::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower::ServiceExt as _;

use crate::first_bytes;
use crate::guard::{Config, Guard};
use crate::shutdown::Shutdown;
use crate::whole::Whole;

/// Streams of a connection beyond the calls that may run, so that one more call is refused rather than kept waiting.
const STREAMS_SPARE: usize = 64;
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
const PENDING_RESETS_MAX: usize = 20;
const LOCAL_RESETS_MAX: usize = 1_024;
/// How long a connection may take to begin to speak HTTP/2.
const FIRST_BYTES: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Without a pause, an accept that fails for want of file descriptors spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves guarded routes until shutdown, then lets calls in flight end under the drain deadline.
///
/// # Errors
/// None after the listener is bound; the result is there for the caller's `?`.
pub async fn serve(listener: TcpListener, guard: Guard, config: &Config, shutdown: Shutdown) -> io::Result<()> {
    let streams_max = u32::try_from(config.calls_max + STREAMS_SPARE).unwrap_or(u32::MAX);
    let connections = Arc::new(Semaphore::new(config.connections_max));
    let graceful = GracefulShutdown::new();
    let mut draining = pin!(shutdown.draining());
    loop {
        let permit = tokio::select! {
            permit = connections.clone().acquire_owned() => permit,
            () = &mut draining => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut draining => break,
        };
        let (guard, watcher, shutdown) = (guard.clone(), graceful.watcher(), shutdown.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // hyper's own timeouts begin with a whole preface, and its drain waits for one.
            let begun = tokio::select! {
                biased;
                begun = first_bytes::wait(&stream, FIRST_BYTES) => begun.is_ok(),
                () = shutdown.draining() => false,
            };
            if begun && let Err(error) = watcher.watch(connection(stream, guard, streams_max)).await {
                tracing::debug!(%error, "a connection ended with an error");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(shutdown.drain_timeout(), graceful.shutdown()).await.is_err() {
        tracing::warn!("calls were still running at the drain deadline and have been cut");
    }
    Ok(())
}

fn connection(
    stream: TcpStream,
    guard: Guard,
    streams_max: u32,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let _ = stream.set_nodelay(true);
    let service =
        guard.map_request(|request: http::Request<hyper::body::Incoming>| request.map(|body| Body::new(Whole(body))));
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
}

#[cfg(test)]
mod tests;
