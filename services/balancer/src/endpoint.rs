//! One endpoint and the HTTP/2 connection to it, made when it is first needed and again whenever it was lost.

use std::error::Error as _;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::error::Error;
use crate::table::Health;
use crate::tls::Tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// After that, for TLS: two round trips, and its arithmetic on a busy machine.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection that takes no more requests may need to say why.
const END_TIMEOUT: Duration = Duration::from_millis(20);
const KEEPALIVE: Duration = Duration::from_secs(20);
/// What may be on its way of one message stream that is not read.
pub const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Room for a thousand streams that are not read, so that they hold up no other; and h2 closes a connection whose window
/// fills with tiny unread messages: half of this is what it lets pass.
pub const CONNECTION_WINDOW_BYTES: u32 = 1_024 * STREAM_WINDOW_BYTES;

/// What an answer's metadata may take, an error's details among it. What is beyond it of leading metadata is its call's own
/// failure; h2 leaves what is beyond it of trailers out, and ends a connection only for several times as much.
const HEADER_LIST_BYTES_MAX: u32 = 1 << 20;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    authority: Authority,
    tls: Option<Tls>,
    connection: Mutex<Connection>,
}

#[derive(Debug)]
enum Connection {
    Closed,
    /// Awaited by every call that needs it.
    Opening(Shared<BoxFuture<'static, Opened>>),
    Open(Open),
}

/// A connection that stands.
#[derive(Clone, Debug)]
struct Open {
    sender: SendRequest<Body>,
    life: Arc<Life>,
}

/// How a connection ends.
#[derive(Debug)]
struct Life {
    cut: CancellationToken,
    /// Why it has.
    end: watch::Receiver<Option<String>>,
}

type Opened = Result<Open, NotOpened>;

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error("cannot connect: {0}")]
    Refused(String),
    #[error("no secure connection: {0}")]
    Untrusted(String),
    #[error("cannot connect within {0:?}")]
    Silent(Duration),
}

impl NotOpened {
    /// What it says about the endpoint.
    pub(crate) fn health(&self) -> Health {
        match self {
            Self::Refused(_) | Self::Untrusted(_) => Health::Unreachable,
            Self::Silent(_) => Health::Silent,
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
    pub(crate) fn new(address: SocketAddr, authority: Authority, tls: Option<Tls>) -> Self {
        Self { address, authority, tls, connection: Mutex::new(Connection::Closed) }
    }

    /// Sends a request.
    pub(crate) async fn send(self: &Arc<Self>, mut request: Request<Body>) -> Result<Response<Incoming>, Unanswered> {
        let Open { mut sender, life } = self.open().await.map_err(Unanswered::NotOpened)?;
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(self.authority.clone());
        *request.uri_mut() = Uri::from_parts(uri).expect("a path, an authority and a scheme make a URI");
        let mut error = match sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        // Given back, it was still waiting for its turn.
        let waiting = error.take_message().is_some();
        let error = error.into_error();
        let error = if waiting { Error::Unreached(life.why(error).await) } else { Error::of_sent(error) };
        Err(Unanswered::Failed(error))
    }

    /// Ends the connection and, at once, every call on it.
    pub(crate) fn cut(&self) {
        if let Connection::Open(Open { life, .. }) = std::mem::replace(&mut *self.lock(), Connection::Closed) {
            life.cut.cancel();
        }
    }

    async fn open(self: &Arc<Self>) -> Opened {
        let opening = {
            let mut connection = self.lock();
            match &*connection {
                Connection::Open(open) if !open.sender.is_closed() => return Ok(open.clone()),
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
        let connected = self.try_connect().await;
        let mut connection = self.lock();
        *connection = match &connected {
            Ok(open) => Connection::Open(open.clone()),
            Err(_) => Connection::Closed,
        };
        connected
    }

    async fn try_connect(&self) -> Opened {
        let stream = within(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await?.map_err(refused)?;
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return speak(self.address, stream).await };
        let secured = within(HANDSHAKE_TIMEOUT, tls.connect(stream, &self.authority)).await?;
        speak(self.address, secured.map_err(NotOpened::Untrusted)?).await
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(limit: Duration, connecting: impl Future<Output = T>) -> Result<T, NotOpened> {
    tokio::time::timeout(limit, connecting).await.map_err(|_| NotOpened::Silent(limit))
}

fn refused(error: impl std::error::Error) -> NotOpened {
    NotOpened::Refused(error.to_string())
}

/// Begins HTTP/2.
async fn speak(address: SocketAddr, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Opened {
    let cut = CancellationToken::new();
    let mut builder = Builder::new(Tasks(cut.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    let (told, end) = watch::channel(None);
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(refused)?;
    Tasks(cut.clone()).execute(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%address, %error, "a connection ended with an error");
            told.send_replace(Some(error.source().map_or(error.to_string(), ToString::to_string)));
        }
    });
    Ok(Open { sender, life: Arc::new(Life { cut, end }) })
}

impl Life {
    /// Why a request found its connection closed: hyper tells that to whoever drives the connection.
    async fn why(&self, error: hyper::Error) -> Box<dyn std::error::Error + Send + Sync> {
        let mut end = self.end.clone();
        let told = tokio::time::timeout(END_TIMEOUT, end.wait_for(Option::is_some)).await;
        let reason = told.ok().and_then(|told| told.ok()?.clone());
        reason.map_or(error.into(), |reason| format!("the connection ended: {reason}").into())
    }
}

/// The tasks of one connection, which end together.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(task));
    }
}
