//! Sockets to requests: HTTP/1.1 and HTTP/2 without TLS on one port, every step of it under a limit.

mod clients;
mod due;
mod rules;
mod writes;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Version;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use malla_runtime::first_bytes;
use malla_runtime::shutdown::Shutdown;
use malla_runtime::whole::Whole;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::body::Body;
use tower::ServiceExt as _;

use crate::config::Config;
use crate::edge::Edge;
use clients::{Clients, Places, Refused};
use due::Streams;
use writes::Writes;

pub(crate) use due::Untaken;
pub(crate) use rules::check;

#[cfg(test)]
mod tests;

const HEADERS_MAX: usize = 64;
const H1_BUFFER_BYTES_MAX: usize = 32 << 10;
const H2_STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// h2 closes a connection on which many tiny messages wait unread; half of this is what it lets pass.
const H2_CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const H2_HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
const H2_PENDING_RESETS_MAX: usize = 20;
const H2_LOCAL_RESETS_MAX: usize = 100;
/// Without a pause, an accept that fails for want of file descriptors spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a request's connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) places: Places,
}

/// What goes on after its request was answered, and ends with the connection it came by; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<JoinSet<()>>>);

impl Sessions {
    /// Runs a session, as a task of its own.
    pub(crate) fn spawn(&self, session: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(session);
    }

    /// Waits for the end of all, and ends them when it is not waited for any longer.
    async fn ended(&self) {
        let mut running = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while running.join_next().await.is_some() {}
    }
}

/// Serves an edge until shutdown, and follows its backends' health meanwhile. Then streams are ended, requests in
/// flight finish, and what is left at the drain deadline is cut.
///
/// # Errors
/// None after the listener is bound; the result is there for the caller's `?`.
pub async fn serve(edge: Edge, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
    let mut background = JoinSet::new();
    background.spawn(edge.clone().follow_health(shutdown.clone()));

    let config = edge.config();
    let builder = builder(config);
    let places = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
    let (clients, refused) = (Clients::default(), Refused::default());
    let mut connections = JoinSet::new();
    let mut draining = pin!(shutdown.draining());
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = &mut draining => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut draining => break,
        };
        while connections.try_join_next().is_some() {}
        let Some(connected) = clients.enter(peer.ip(), config) else {
            if let Some(refused) = refused.add() {
                let max = config.connections_per_ip_max;
                tracing::warn!(refused, max, last = %peer.ip(), "clients have too many connections open; more are refused");
            }
            continue;
        };
        let peer = Peer { address: peer, places: connected.places.clone() };
        let connection = connection(builder.clone(), edge.clone(), stream, peer, shutdown.clone());
        connections.spawn(async move {
            let _counted = (place, connected);
            if due::watched(connection).await.is_none() {
                tracing::debug!("a connection was closed: its client did not take the answer in time");
            }
        });
    }
    drop(listener);
    edge.close_streams();
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(shutdown.drain_timeout(), ended).await.is_err() {
        tracing::warn!("requests were still running at the drain deadline and have been cut");
    }
    connections.shutdown().await;
    Ok(())
}

async fn connection(builder: auto::Builder<Streams>, edge: Edge, stream: TcpStream, peer: Peer, shutdown: Shutdown) {
    let _ = stream.set_nodelay(true);
    let (first_byte, age) = (Duration::from_millis(edge.config().first_byte_timeout_ms), age(edge.config(), &peer));
    let address = peer.address;
    // hyper's own timeouts begin with the first request.
    let begun = tokio::select! {
        begun = first_bytes::wait(&stream, first_byte) => begun,
        // Nothing was asked yet, so nothing is lost.
        () = shutdown.draining() => return,
    };
    if let Err(error) = begun {
        tracing::debug!(%error, peer = %address, "a connection was closed before its first request");
        return;
    }
    let sessions = Sessions::default();
    let given = sessions.clone();
    let service = edge.clone().map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(given.clone());
        let version = request.version();
        request.map(|body| if version == Version::HTTP_2 { Body::new(Whole(body)) } else { Body::new(body) })
    });
    let service = TowerToHyperService::new(service);
    let io = TokioIo::new(Writes::new(stream, edge.config().answer_timeout()));
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service).into_owned());
    let ended = tokio::select! {
        // First, so that a request that is there already is taken.
        biased;
        ended = connection.as_mut() => Some(ended),
        () = shutdown.draining() => None,
        () = tokio::time::sleep(age) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            // By then every answer is over. What h2 has of them it keeps for as long as the client has no room for it.
            tokio::time::timeout(edge.longest_answer(), connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %address, "a connection ended with an error");
    }
    sessions.ended().await;
}

/// When a connection has to end: 90 to 110 % of the configured age, by the client's port, so that connections made
/// together do not end together.
fn age(config: &Config, peer: &Peer) -> Duration {
    Duration::from_millis(config.connection_age_ms).saturating_mul(90 + u32::from(peer.address.port() % 21)) / 100
}

fn builder(config: &Config) -> auto::Builder<Streams> {
    let keepalive = Duration::from_millis(config.h2_keepalive_ms);
    let mut builder = auto::Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_headers(HEADERS_MAX)
        .max_buf_size(H1_BUFFER_BYTES_MAX);
    builder
        .http2()
        .enable_connect_protocol()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.h2_streams_max)
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_header_list_size(H2_HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(H2_LOCAL_RESETS_MAX)
        .keep_alive_interval(keepalive)
        .keep_alive_timeout(keepalive);
    builder
}
