//! A connection to Redis (one server, Cluster or Sentinel) that fails in time and comes back by itself.
//!
//! A fred client is used until its connection is lost, and then replaced. fred's own reconnecting would keep commands
//! meanwhile, until they time out one by one; here a call without a connection fails at once, a command is sent once, and
//! what there is to know of a server is learned before its first use.

use std::time::Duration;

use fred::prelude::{Builder, ClientLike as _, Config as FredConfig, ErrorKind, TlsConnector};
use fred::rustls::pki_types::CertificateDer;
use fred::rustls::pki_types::pem::PemObject as _;
use fred::rustls::{ClientConfig, RootCertStore};
use malla_runtime::config::{self, Secret};
use malla_runtime::module::Probe;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use fred::prelude::{Client, Error};

/// Commands under way; more are refused at once.
const COMMANDS_MAX: usize = 1_000;
const SCHEMES: [&str; 6] = ["redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "rediss-sentinel"];
/// For a connection, from its first byte to the answer to the password; of Cluster and Sentinel, to each node of the URL.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between attempts to connect.
const CONNECT_INTERVAL: Duration = Duration::from_millis(100);
/// Between looks at a connection that stands.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A command is carried out at most once; this often a Cluster may say that it is to be sent to another node.
const SENT_MAX: u32 = 3;
/// How long a start waits for the first connection.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Subsection `redis` of a service's section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `redis://:password@host:port`, `redis-cluster://...` or `redis-sentinel://...`, with TLS `rediss://...`. More nodes
    /// follow as `?node=host:port&node=host:port`, Sentinel's name for the primary as `sentinelServiceName=name` and its own
    /// password, if it has one, as `sentinelPassword=password`. Empty: not used.
    pub url: Secret,
    /// With TLS, the authorities whose certificates are trusted: a PEM file. Empty, the default: the machine's.
    pub ca_file: String,
    /// How long a command may take: 10 to 60000. Default 2000.
    pub command_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: Secret::default(), ca_file: String::new(), command_ms: 2_000 }
    }
}

impl Config {
    /// Checks what types cannot. `service` is the section's name.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] for the first value that cannot be used.
    pub fn check(&self, service: &str) -> Result<(), config::Error> {
        let url = self.url.expose();
        let scheme = url.split_once("://").map_or(url, |(scheme, _)| scheme);
        if self.is_set() && (!SCHEMES.contains(&scheme) || self.address().is_err()) {
            let expected = "it may be redis://, redis-cluster:// or redis-sentinel:// (rediss:// with TLS), or empty; \
                sentinelServiceName is needed with redis-sentinel://";
            return Err(config::Error::invalid(format!("{service}.redis.url"), "***", expected));
        }
        if !self.ca_file.is_empty() && (!self.has_tls() || authorities(&self.ca_file).is_err()) {
            let expected = "it may be a PEM file of certificates, for a rediss:// URL, or empty for the machine's own";
            return Err(config::Error::invalid(format!("{service}.redis.ca_file"), &self.ca_file, expected));
        }
        config::check_ranges(&format!("{service}.redis"), [("command_ms", self.command_ms, 10..=60_000)])
    }

    /// Whether there is a Redis to use.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.url.is_empty()
    }

    fn has_tls(&self) -> bool {
        self.url.expose().starts_with("rediss")
    }

    /// What the URL says, but for TLS: fred would read the machine's certificates for it.
    fn address(&self) -> Result<FredConfig, Error> {
        let url = self.url.expose();
        let plain = url.strip_prefix("rediss").map(|rest| format!("redis{rest}"));
        FredConfig::from_url(plain.as_deref().unwrap_or(url))
    }
}

/// The certificates of a PEM file; at least one.
fn authorities(file: &str) -> Result<RootCertStore, Error> {
    let unreadable = |error| Error::new(ErrorKind::Tls, format!("{file}: {error}"));
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        authorities.add(certificate.map_err(unreadable)?)?;
    }
    if authorities.is_empty() {
        return Err(Error::new(ErrorKind::Tls, format!("{file} has no certificates")));
    }
    Ok(authorities)
}

/// The present connection, and what is known of its server; cheap to clone. Ends with its last clone.
#[derive(Debug)]
pub struct Redis<T> {
    present: watch::Receiver<Result<(Client, T), Error>>,
    command: Duration,
}

impl<T: Clone> Clone for Redis<T> {
    fn clone(&self) -> Self {
        Self { present: self.present.clone(), command: self.command }
    }
}

/// Whether a command whose answer was lost with its connection may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// A second time changes nothing.
    Harmless,
    /// A second time would be another command.
    Never,
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Redis<T> {
    /// Connects in the background. `look` learns what there is to know of the server: at each new connection, which is
    /// used only if that works, and every second, by which a server that hangs is noticed.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn start<F>(config: &Config, look: impl Fn(Client) -> F + Send + Sync + 'static) -> Result<Self, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let command = Duration::from_millis(config.command_ms);
        let (builder, connect) = builder(config, command)?;
        let (publish, present) = watch::channel(Err(Error::new(ErrorKind::IO, "not connected yet")));
        tokio::spawn(async move {
            loop {
                let error = serve(&builder, &look, &publish, [connect, command]).await;
                if publish.is_closed() {
                    return;
                }
                // Whatever it is: for a call it is that Redis is away.
                let away = Error::new(ErrorKind::IO, error.details().to_owned());
                if let Ok((client, _)) = publish.send_replace(Err(away)) {
                    tracing::warn!(%error, "the connection to Redis is lost");
                    drop(client);
                }
                sleep(CONNECT_INTERVAL).await;
            }
        });
        Ok(Self { present, command })
    }

    /// As [`Redis::start`], and waits for the first connection, at most 5 seconds.
    ///
    /// # Errors
    /// When there is none by then: why the last attempt failed.
    pub async fn open<F>(config: &Config, look: impl Fn(Client) -> F + Send + Sync + 'static) -> Result<Self, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let redis = Self::start(config, look)?;
        let mut present = redis.present.clone();
        let _ = timeout(START_TIMEOUT, present.wait_for(Result::is_ok)).await;
        redis.present().map(|_| redis)
    }

    /// The client to use now.
    ///
    /// # Errors
    /// When there is none, at once.
    pub fn present(&self) -> Result<(Client, T), Error> {
        self.present.borrow().clone()
    }

    /// Makes a call within `command_ms` in all. Where that is harmless, a call whose connection breaks is made again on the
    /// next one. A call that begins without a connection fails at once.
    ///
    /// # Errors
    /// The call's; [`ErrorKind::Timeout`] when it takes too long.
    pub async fn call<R, F: Future<Output = Result<R, Error>>>(
        &self,
        again: Again,
        call: impl Fn(Client, T) -> F,
    ) -> Result<R, Error> {
        let twice = async {
            let (client, known) = self.present()?;
            let first = client.id().to_owned();
            let is_another =
                |present: &Result<(Client, T), Error>| !matches!(present, Ok((client, _)) if client.id() == first);
            let (mut present, mut next) = (self.present.clone(), self.present.clone());
            let result = tokio::select! {
                biased;
                result = call(client, known) => result,
                // A client that is no more connected forgets commands without a word.
                _ = present.wait_for(is_another) => Err(Error::new(ErrorKind::IO, "the connection is lost")),
            };
            match result {
                Err(error) if again == Again::Harmless && is_lost(&error) => {
                    let is_new = |present: &_| is_another(present) && present.is_ok();
                    let (client, known) = next.wait_for(is_new).await.map_err(|_| error)?.clone()?;
                    call(client, known).await
                }
                result => result,
            }
        };
        let late = |_| Err(Error::new(ErrorKind::Timeout, "Redis did not answer in time"));
        timeout(self.command, twice).await.unwrap_or_else(late)
    }

    /// Tells whether there is a connection whose server answers.
    #[must_use]
    pub fn probe(&self) -> Probe {
        let redis = self.clone();
        Box::new(move || {
            let connected = redis.present().is_ok();
            Box::pin(async move { connected })
        })
    }
}

/// Whether the connection broke before the answer came.
fn is_lost(error: &Error) -> bool {
    // The code of a server's refusal is in capitals. What else has no kind is what fred says of a client that was given
    // up, or whose connection is going, while it had calls under way ("channel closed", "Too many failed write attempts.").
    let code = error.details().split(' ').next().unwrap_or_default();
    match error.kind() {
        ErrorKind::IO | ErrorKind::Canceled => true,
        ErrorKind::Unknown => !code.chars().all(|char| char.is_ascii_uppercase()),
        _ => false,
    }
}

/// Whether an error is about the way to Redis, not about the command: coming again may help.
#[must_use]
pub fn is_away(error: &Error) -> bool {
    use ErrorKind::{Backpressure, Cluster, Routing, Sentinel, Timeout};
    is_lost(error) || matches!(error.kind(), Timeout | Backpressure | Cluster | Routing | Sentinel)
        // What a server says that starts, runs a long script, fails over, is full or has lost its replicas or its disk.
        || ["UNBLOCKED", "OOM", "LOADING", "BUSY", "READONLY", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "MISCONF", "TRYAGAIN"]
            .iter()
            .any(|word| error.details().starts_with(word))
}

/// The status of a call that Redis failed: UNAVAILABLE when it can be tried again, else INTERNAL, with the cause in the
/// log only.
#[must_use]
pub fn status(error: &Error) -> tonic::Status {
    if is_away(error) {
        tracing::warn!(%error, "Redis is not available");
        return malla_runtime::status::unavailable("the store is not available", Duration::from_secs(1));
    }
    malla_runtime::status::internal(error)
}

/// Connects, and publishes the client until it is of no more use: why.
async fn serve<T: PartialEq, F: Future<Output = Result<T, Error>>>(
    builder: &Builder,
    look: &impl Fn(Client) -> F,
    publish: &watch::Sender<Result<(Client, T), Error>>,
    [connect, command]: [Duration; 2],
) -> Error {
    let client = match builder.build() {
        Ok(client) => client,
        Err(error) => return error,
    };
    let mut connection = client.connect();
    let looking = async {
        match timeout(connect, client.wait_for_connect()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return Error::new(ErrorKind::Timeout, "no connection in time"),
        }
        loop {
            let known = match timeout(command, look(client.clone())).await {
                Ok(Ok(known)) => known,
                Ok(Err(error)) => return error,
                Err(_) => return Error::new(ErrorKind::Timeout, "no answer in time"),
            };
            publish.send_if_modified(|present| {
                let news = !matches!(present, Ok((_, before)) if *before == known);
                if present.is_err() {
                    tracing::info!("connected to Redis");
                }
                *present = Ok((client.clone(), known));
                news
            });
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = publish.closed() => return Error::new(ErrorKind::Canceled, "nobody uses it any more"),
            }
        }
    };
    let error = tokio::select! {
        error = looking => error,
        ended = &mut connection => match ended {
            Ok(Err(error)) => error,
            _ => Error::new(ErrorKind::IO, "the connection ended"),
        },
    };
    connection.abort();
    error
}

/// What makes clients, and how long they may take to connect.
fn builder(config: &Config, command: Duration) -> Result<(Builder, Duration), Error> {
    let mut address = config.address()?;
    if config.has_tls() {
        let tls = if config.ca_file.is_empty() {
            TlsConnector::default_rustls()?
        } else {
            let trusting = ClientConfig::builder().with_root_certificates(authorities(&config.ca_file)?);
            trusting.with_no_client_auth().into()
        };
        address.tls = Some(tls.into());
    }
    // Those that are away are asked one after the other, and then the one that is meant.
    let asked = if address.server.is_centralized() { 1 } else { 1 + address.server.hosts().len() };
    let connect = CONNECT_TIMEOUT * u32::try_from(asked).unwrap_or(u32::MAX);
    let mut builder = Builder::from_config(address);
    builder
        .with_performance_config(|performance| performance.default_command_timeout = command)
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            connection.max_command_attempts = SENT_MAX;
            connection.max_command_buffer_len = COMMANDS_MAX;
            connection.unresponsive.max_timeout = Some(command);
            connection.unresponsive.interval = command / 4;
            connection.tcp.nodelay = Some(true);
        });
    Ok((builder, connect))
}

#[cfg(test)]
mod tests;
