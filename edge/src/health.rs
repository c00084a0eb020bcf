//! The health of every backend, followed by `grpc.health.v1.Health/Watch` over its link, local or remote alike.

use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use malla_runtime::health::{Registry, State};
use malla_runtime::link::{self, Link};
use malla_runtime::shutdown::Shutdown;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceExt as _;

use crate::call::checked::checked;
use crate::load::Backend;

#[cfg(test)]
mod tests;

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How often a backend is asked for a sign of life: a process that hangs keeps its connections open for long.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Most bytes of a backend's state, which is a number.
const STATE_BYTES_MAX: usize = 4_096;
/// How long it may take to give one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the edge knows of its backends' health; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) registry: Registry,
    /// Also held while the states are published: else an older sum could overwrite a newer one.
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    backends: Vec<Followed>,
    unready: bool,
}

#[derive(Debug)]
struct Followed {
    name: String,
    link: Link,
    foreign: bool,
    /// None while it is not known what it serves.
    services: Vec<String>,
    /// What it says itself.
    says: State,
    /// Why it says nothing.
    lost: Option<String>,
    /// What keeps the edge from learning what it serves now; told to everybody.
    trouble: Option<&'static str>,
}

/// How a backend is.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) trouble: Option<String>,
}

impl Health {
    /// Nothing is known yet, so nothing is SERVING.
    pub(crate) fn new(backends: &[Backend]) -> Self {
        let followed = |backend: &Backend| Followed {
            name: backend.name.clone(),
            link: backend.link.clone(),
            foreign: backend.foreign,
            services: backend.services.clone(),
            says: State::NotServing,
            lost: None,
            trouble: None,
        };
        let known = Known { backends: backends.iter().map(followed).collect(), unready: false };
        let registry = Registry::default();
        known.publish(&registry);
        Self { registry, known: Arc::new(Mutex::new(known)) }
    }

    /// The state of everything together.
    pub(crate) fn overall(&self) -> State {
        self.registry.get("").unwrap_or(State::NotServing)
    }

    /// Every backend's condition, in the order they were given.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let condition = |backend: &Followed| Condition {
            name: backend.name.clone(),
            state: backend.state(),
            trouble: backend.lost.clone().or_else(|| backend.trouble.map(str::to_owned)),
        };
        self.known().backends.iter().map(condition).collect()
    }

    /// Why it is not known yet what all backends serve; `None` when it is.
    pub(crate) fn waiting(&self) -> Option<String> {
        let known = self.known();
        let backend = known.backends.iter().find(|backend| backend.services.is_empty())?;
        let reason = backend.trouble.unwrap_or("it is being asked");
        Some(format!("it is not known yet what {} serves: {reason}", backend.name))
    }

    /// A backend serves these services from now on.
    pub(crate) fn serves(&self, name: &str, services: &[String]) {
        self.change(name, |backend| {
            for gone in backend.services.iter().filter(|service| !services.contains(service)) {
                self.registry.set(gone, State::ServiceUnknown);
            }
            backend.services = services.into();
        });
    }

    /// What keeps the edge from learning what a backend serves, or that nothing does.
    pub(crate) fn trouble(&self, name: &str, trouble: Option<&'static str>) {
        self.change(name, |backend| backend.trouble = trouble);
    }

    /// Follows all backends until the process ends; from `unready` on the edge as a whole is NOT_SERVING.
    pub(crate) async fn follow(self, shutdown: Shutdown) {
        let mut watches = JoinSet::new();
        for backend in &self.known().backends {
            watches.spawn(self.clone().watch(backend.name.clone(), backend.link.clone()));
        }
        shutdown.unready().await;
        {
            let mut known = self.known();
            known.unready = true;
            known.publish(&self.registry);
        }
        while watches.join_next().await.is_some() {}
    }

    async fn watch(self, name: String, link: Link) {
        let mut retry = RETRY_MIN;
        loop {
            let status = self.watch_once(&name, &link, &mut retry).await;
            let answers = has_no_opinion(&status);
            self.says(&name, if answers { Ok(State::Serving) } else { Err(explain(&status)) });
            tokio::time::sleep(if answers { PROBE_INTERVAL } else { retry }).await;
            retry = (retry * 2).min(RETRY_MAX);
        }
    }

    /// Follows one stream of states to its end, or until the backend gives no sign of life.
    async fn watch_once(&self, name: &str, link: &Link, retry: &mut Duration) -> Status {
        let mut client = HealthClient::new(link.clone().map_response(|answer| checked(answer, STATE_BYTES_MAX)));
        let everything = || HealthCheckRequest { service: String::new() };
        let mut states = match tokio::time::timeout(PROBE_TIMEOUT, client.watch(everything())).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return status,
            Err(_) => return silent(),
        };
        loop {
            match tokio::time::timeout(PROBE_INTERVAL, states.message()).await {
                Ok(Ok(Some(state))) => {
                    *retry = RETRY_MIN;
                    self.says(name, Ok(state.status()));
                }
                Ok(Ok(None)) => return Status::unavailable("the stream of states ended"),
                Ok(Err(status)) => return status,
                // Any answer is a sign of life; the state itself comes on the stream.
                Err(_) if tokio::time::timeout(PROBE_TIMEOUT, client.check(everything())).await.is_err() => {
                    return silent();
                }
                Err(_) => {}
            }
        }
    }

    /// A backend says how it is, or why it cannot be heard. One that knows of single services only has no opinion on itself.
    fn says(&self, name: &str, said: Result<State, String>) {
        let serves = matches!(said, Ok(State::Serving | State::ServiceUnknown));
        self.change(name, |backend| {
            let lost = said.err();
            // Of one that is yet to say what it serves, whoever asks it says why.
            let is_news = lost != backend.lost && !backend.services.is_empty();
            if let Some(reason) = lost.as_ref().filter(|_| is_news && backend.state() == State::NotServing) {
                tracing::warn!(backend = name, reason, "a backend cannot be reached");
            }
            backend.lost = lost;
            backend.says = if serves { State::Serving } else { State::NotServing };
        });
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Followed)) {
        let mut known = self.known();
        let Some(backend) = known.backends.iter_mut().find(|backend| backend.name == name) else { return };
        let before = backend.state();
        change(backend);
        match backend.state() {
            now if now == before => {}
            State::Serving => tracing::info!(backend = name, "a backend serves"),
            _ => {
                let reason = backend.lost.as_deref().unwrap_or("it says so");
                tracing::warn!(backend = name, reason, "a backend does not serve any more");
            }
        }
        known.publish(&self.registry);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn publish(&self, registry: &Registry) {
        for backend in &self.backends {
            for name in backend.services.iter().chain([&backend.name]) {
                registry.set(name, backend.state());
            }
        }
        let serving = self.serves() && !self.unready;
        registry.set("", if serving { State::Serving } else { State::NotServing });
    }

    /// Whether the edge is of use as a whole. The mesh is one thing: all of it serves or it does not. Foreign servers are
    /// nothing to each other, and one that is down must not take the others' clients away: once each was asked what it
    /// serves, one that serves is enough.
    fn serves(&self) -> bool {
        let serves = |backend: &Followed| backend.state() == State::Serving;
        let may = |backend: &Followed| if backend.foreign { backend.was_asked() } else { serves(backend) };
        self.backends.iter().all(may) && (self.backends.is_empty() || self.backends.iter().any(serves))
    }
}

impl Followed {
    /// Nobody can be served what is not known.
    fn state(&self) -> State {
        if self.services.is_empty() { State::NotServing } else { self.says }
    }

    /// Whether it has said what it serves, or could not be made to.
    fn was_asked(&self) -> bool {
        !self.services.is_empty() || self.trouble.is_some()
    }
}

/// Whether a backend answers, and only says nothing on its health: it has no such service, or none for everybody.
fn has_no_opinion(status: &Status) -> bool {
    const CODES: [Code; 4] = [Code::Unimplemented, Code::NotFound, Code::Unauthenticated, Code::PermissionDenied];
    CODES.contains(&status.code()) && !link::is_lost(status)
}

/// What a failed call says, with the causes where the way to its service failed: for operators.
pub(crate) fn explain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source().and_then(std::error::Error::source);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn silent() -> Status {
    Status::deadline_exceeded("the backend gives no sign of life")
}
