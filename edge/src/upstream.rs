//! Backends that say themselves what they serve, by server reflection, or for whom files say it: read again and again,
//! so that what they serve may change while they are served.
//!
//! What cannot be read, or would leave nothing, changes nothing: the last table that was good stays. The log says why, once,
//! `/health` what kind of trouble it is, for as long as it lasts.

pub(crate) mod files;
mod reflection;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use malla_runtime::link::{self, Link};
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tonic::{Code, Status};

use crate::call::retry::jitter;
use crate::changes::Changes;
use crate::edge::Edge;
use crate::health::explain;
use crate::load::{Backend, LoadError, OWN_SERVICES};
use files::Files;
use reflection::Reflected;

#[cfg(test)]
mod tests;

/// The pause after a failure; it doubles with each, up to the interval at most.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Most routes the log names at once.
const NAMED_MAX: usize = 10;

/// A gRPC server whose services are to be found out.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its short name, which is its backend's.
    pub name: String,
    /// Full names of the services to serve; empty for all it has.
    pub services: Vec<String>,
    /// Files with `FileDescriptorSet`s, of buf or protoc, that declare its services; empty for server reflection.
    pub descriptors: Vec<PathBuf>,
    /// The way to it.
    pub link: Link,
}

/// Why it is not known what an upstream serves.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be reached or answers with an error.
    #[error("server reflection: {}", explain(.0))]
    Call(#[from] Status),
    /// It did not answer in time.
    #[error("server reflection: no answer within {0:?} (edge.reflection.timeout_ms)")]
    Late(Duration),
    /// It answers something else than what was asked.
    #[error("server reflection: the answer is none to what was asked: {0}")]
    Nonsense(&'static str),
    /// A file cannot be read.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// These bytes are no descriptors.
    #[error("its descriptors cannot be read: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// More than the limit.
    #[error("its descriptors have more than {0} bytes (edge.reflection.bytes_max)")]
    TooLarge(usize),
    /// More than anyone has.
    #[error("it names more than {0} services or files")]
    TooMany(usize),
    /// A file imports one that is not there.
    #[error("{import} is missing, which {by} imports; a set of descriptors has to have all imports")]
    Import {
        /// The file that is missing.
        import: String,
        /// A file that imports it.
        by: String,
    },
    /// There is nothing to serve.
    #[error("it names no service that could be served")]
    Nothing,
    /// It cannot be served.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl ReadError {
    /// What kind of trouble it is, for everybody: without paths, addresses, or what others have written.
    fn kind(&self) -> &'static str {
        match self {
            Self::Call(status) if link::is_lost(status) => "server reflection: it cannot be reached",
            Self::Call(status) if status.code() == Code::Unimplemented => "server reflection: it has none",
            Self::Call(_) => "server reflection: it answers with an error",
            Self::Late(_) => "server reflection: it does not answer in time",
            Self::Nonsense(_) => "server reflection: its answers are none to what was asked",
            Self::File { .. } => "a file of its descriptors cannot be read",
            Self::Malformed(_) => "its descriptors cannot be read",
            Self::TooLarge(_) | Self::TooMany(_) => "its descriptors are too large",
            Self::Import { .. } => "its descriptors lack an import",
            Self::Nothing => "it names no service that could be served",
            Self::Load(_) => "its services cannot be served",
        }
    }
}

impl Upstream {
    /// What is known of it beforehand: nothing.
    #[must_use]
    pub fn unknown(&self) -> Backend {
        Backend {
            name: self.name.clone(),
            services: Vec::new(),
            descriptors: Bytes::new(),
            link: self.link.clone(),
            foreign: true,
        }
    }

    /// The backend that its files declare. Services which they should and do not are in it all the same: to load it says so.
    ///
    /// # Errors
    /// A file cannot be read, is too large or lacks an import.
    pub async fn declared(&self, bytes_max: usize) -> Result<Backend, ReadError> {
        let Reflected { services, unknown, files } = self.read_files(bytes_max).await?;
        Ok(Backend { services: [services, unknown].concat(), descriptors: files.encode(), ..self.unknown() })
    }

    async fn read(&self, bytes_max: usize) -> Result<(Backend, Vec<String>), ReadError> {
        let Reflected { mut services, unknown, files } = if self.descriptors.is_empty() {
            reflection::read(&self.link, &self.services, bytes_max).await?
        } else {
            self.read_files(bytes_max).await?
        };
        services.retain(|service| !OWN_SERVICES.contains(&service.as_str()));
        if services.is_empty() {
            return Err(ReadError::Nothing);
        }
        services.sort_unstable();
        services.dedup();
        Ok((Backend { services, descriptors: files.encode(), ..self.unknown() }, unknown))
    }

    async fn read_files(&self, bytes_max: usize) -> Result<Reflected, ReadError> {
        let mut files = Files::new(bytes_max);
        for path in &self.descriptors {
            let fail = |error| ReadError::File { path: path.clone(), error };
            let file = tokio::fs::File::open(path).await.map_err(fail)?;
            let mut set = Vec::new();
            file.take(bytes_max as u64 + 1).read_to_end(&mut set).await.map_err(fail)?;
            files.add_set(set.into())?;
        }
        files.complete()?;
        let wanted = |service: &String| self.services.is_empty() || self.services.contains(service);
        let services = files.services().into_iter().filter(wanted).collect();
        let unknown = self.services.iter().filter(|service| !files.declare(service)).cloned().collect();
        Ok(Reflected { services, unknown, files })
    }
}

/// Keeps an edge's table to what one upstream serves.
#[derive(Debug)]
pub struct Follower {
    edge: Edge,
    upstream: Upstream,
    /// What the table has of it.
    last: Backend,
    /// Why the last reading failed, if it did.
    cause: Option<String>,
    reads: Counter<u64>,
}

impl Follower {
    /// Follows one of the backends of an edge, which was built with what is known of it beforehand.
    #[must_use]
    pub fn new(edge: Edge, upstream: Upstream) -> Self {
        let meter = global::meter("malla");
        let reads = meter.u64_counter("malla.edge.reads");
        let reads = reads.with_description("Times it was read what an upstream serves, by outcome").build();
        Self { edge, last: upstream.unknown(), upstream, cause: None, reads }
    }

    /// Reads what the upstream serves now, and serves that.
    ///
    /// # Errors
    /// [`ReadError`]; then all stays as it was.
    pub async fn read(&mut self) -> Result<(), ReadError> {
        let outcome = self.try_read().await;
        let name = &self.upstream.name;
        let trouble = outcome.as_ref().err();
        let label = match &outcome {
            Ok(None) => "same",
            Ok(Some(_)) => "new",
            Err(_) => "failed",
        };
        self.reads.add(1, &[KeyValue::new("backend", name.clone()), KeyValue::new("outcome", label)]);
        self.edge.health().trouble(name, trouble.map(ReadError::kind));
        let cause = trouble.map(ToString::to_string);
        let news = self.cause != cause;
        self.cause = cause;
        match &outcome {
            Ok(Some(changes)) => tell(name, changes),
            Ok(None) if news => tracing::info!(backend = name, "an upstream can be read again and has not changed"),
            Err(error) if news && self.last.services.is_empty() => {
                tracing::warn!(backend = name, %error, "waiting for an upstream: it is not known what it serves");
            }
            Err(error) if news => {
                tracing::warn!(backend = name, %error, "an upstream cannot be read; what it last had stays");
            }
            _ => {}
        }
        outcome.map(drop)
    }

    async fn try_read(&mut self) -> Result<Option<Changes>, ReadError> {
        let settings = &self.edge.config().reflection;
        let limit = Duration::from_millis(settings.timeout_ms);
        let reading = tokio::time::timeout(limit, self.upstream.read(settings.bytes_max));
        let (backend, unknown) = reading.await.unwrap_or(Err(ReadError::Late(limit)))?;
        if backend.services == self.last.services && backend.descriptors == self.last.descriptors {
            return Ok(None);
        }
        let (edge, next) = (self.edge.clone(), backend.clone());
        let replaced = tokio::task::spawn_blocking(move || edge.replace(next)).await;
        let changes =
            replaced.unwrap_or_else(|_| Err(LoadError(vec!["reading its descriptors panicked".to_owned()])))?;
        self.last = backend;
        if !unknown.is_empty() {
            let services = unknown.join(", ");
            tracing::warn!(backend = self.last.name, services, "nothing is known of these services: they are left out");
        }
        Ok(Some(changes))
    }

    /// Reads on and on: after the interval, after a failure sooner, and whenever `again` changes.
    pub async fn follow(mut self, mut again: watch::Receiver<()>) {
        let interval = Duration::from_millis(self.edge.config().reflection.interval_ms);
        let mut retry = RETRY_MIN;
        loop {
            let pause = match self.read().await {
                Ok(()) => {
                    retry = RETRY_MIN;
                    interval
                }
                Err(_) => {
                    let pause = retry.min(interval);
                    retry = (retry * 2).min(RETRY_MAX);
                    pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(jitter())) => {}
                Ok(()) = again.changed() => {}
            }
        }
    }
}

fn tell(backend: &str, changes: &Changes) {
    let Changes { added, removed, changed, left_out } = changes;
    let named = |lines: &[String]| lines.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    tracing::info!(
        backend,
        added = added.len(),
        removed = removed.len(),
        changed = changed.len(),
        "the routes of an upstream are new"
    );
    for problem in left_out.iter().take(NAMED_MAX) {
        tracing::warn!(backend, problem, "a route cannot be served and is left out");
    }
    for (what, lines) in [("added", added), ("removed", removed), ("changed", changed)] {
        if !lines.is_empty() {
            tracing::debug!(backend, what, routes = named(lines), "routes of an upstream");
        }
    }
}
