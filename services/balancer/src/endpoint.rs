//! One endpoint and the HTTP/2 connection to it, made when it is first needed and again whenever it was lost.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::error::Error;
use crate::table::Health;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(20);
/// What may be on its way of one message stream that is not read.
pub const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Room for a thousand streams that are not read, so that they hold up no other; and h2 closes a connection whose window
/// fills with tiny unread messages: half of this is what it lets pass.
pub const CONNECTION_WINDOW_BYTES: u32 = 1_024 * STREAM_WINDOW_BYTES;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    authority: Authority,
    connection: Mutex<Connection>,
}

#[derive(Debug)]
enum Connection {
    Closed,
    /// Awaited by every call that needs it.
    Opening(Shared<BoxFuture<'static, Opened>>),
    Open(SendRequest<Body>, CancellationToken),
}

type Opened = Result<SendRequest<Body>, NotOpened>;

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error("cannot connect: {0}")]
    Refused(String),
    #[error("cannot connect within {CONNECT_TIMEOUT:?}")]
    Silent,
}

impl NotOpened {
    /// What it says about the endpoint.
    pub(crate) fn health(&self) -> Health {
        match self {
            Self::Refused(_) => Health::Unreachable,
            Self::Silent => Health::Silent,
        }
    }
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// There was no connection.
    NotOpened(NotOpened),
    /// There was one.
    Failed(Error),
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, authority: Authority) -> Self {
        Self { address, authority, connection: Mutex::new(Connection::Closed) }
    }

    /// Sends a request.
    pub(crate) async fn send(self: &Arc<Self>, mut request: Request<Body>) -> Result<Response<Incoming>, Unanswered> {
        let mut connection = self.open().await.map_err(Unanswered::NotOpened)?;
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(self.authority.clone()));
        *request.uri_mut() = Uri::from_parts(uri).expect("a path, an authority and a scheme make a URI");
        connection.try_send_request(request).await.map_err(|mut error| {
            // Given back, it was still waiting for its turn.
            let waiting = error.take_message().is_some();
            let error = error.into_error();
            Unanswered::Failed(if waiting { Error::Unreached(error.into()) } else { Error::of_sent(error) })
        })
    }

    /// Ends the connection and, at once, every call on it.
    pub(crate) fn cut(&self) {
        if let Connection::Open(_, cut) = std::mem::replace(&mut *self.lock(), Connection::Closed) {
            cut.cancel();
        }
    }

    async fn open(self: &Arc<Self>) -> Opened {
        let opening = {
            let mut connection = self.lock();
            match &*connection {
                Connection::Open(sender, _) if !sender.is_closed() => return Ok(sender.clone()),
                Connection::Opening(opening) => opening.clone(),
                _ => {
                    // A task of its own: the call that began it may be over sooner.
                    let task = tokio::spawn(self.clone().connect());
                    let ended = |_| Err(NotOpened::Refused("the process is ending".to_owned()));
                    let opening = task.map(move |opened| opened.unwrap_or_else(ended)).boxed().shared();
                    *connection = Connection::Opening(opening.clone());
                    opening
                }
            }
        };
        opening.await
    }

    async fn connect(self: Arc<Self>) -> Opened {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(self.address)).await;
        let connected = connected.unwrap_or(Err(NotOpened::Silent));
        let mut connection = self.lock();
        match connected {
            Ok((sender, cut)) => {
                *connection = Connection::Open(sender.clone(), cut);
                Ok(sender)
            }
            Err(reason) => {
                *connection = Connection::Closed;
                Err(reason)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(address: SocketAddr) -> Result<(SendRequest<Body>, CancellationToken), NotOpened> {
    let refused = |error: &dyn std::error::Error| NotOpened::Refused(error.to_string());
    let stream = TcpStream::connect(address).await.map_err(|error| refused(&error))?;
    let _ = stream.set_nodelay(true);
    let cut = CancellationToken::new();
    let mut builder = Builder::new(Tasks(cut.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| refused(&error))?;
    Tasks(cut.clone()).execute(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%address, %error, "a connection ended with an error");
        }
    });
    Ok((sender, cut))
}

/// The tasks of one connection, which end together.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(task));
    }
}
