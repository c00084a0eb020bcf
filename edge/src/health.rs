//! The health of every backend, followed by `grpc.health.v1.Health/Watch` over its link, local or remote alike.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use malla_runtime::health::{Registry, State};
use malla_runtime::shutdown::Shutdown;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::load::Backend;

#[cfg(test)]
mod tests;

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How often a backend is asked for a sign of life: a process that hangs keeps its connections open for long.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long it may take to give one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the edge knows of its backends' health; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) registry: Registry,
    backends: Arc<[Backend]>,
    /// Also held while the states are summed up: else an older sum could overwrite a newer one.
    unready: Arc<Mutex<bool>>,
}

impl Health {
    /// Nothing is known yet, so nothing is SERVING.
    pub(crate) fn new(backends: &[Backend]) -> Self {
        let health = Self { registry: Registry::default(), backends: backends.into(), unready: Arc::default() };
        for backend in backends {
            health.set(backend, State::NotServing);
        }
        health.sum_up();
        health
    }

    /// The state of everything together.
    pub(crate) fn overall(&self) -> State {
        self.registry.get("").unwrap_or(State::NotServing)
    }

    /// Each backend's short name and state, in the order they were given.
    pub(crate) fn by_name(&self) -> impl Iterator<Item = (&str, State)> {
        self.backends
            .iter()
            .map(|backend| (backend.name.as_str(), self.registry.get(&backend.name).unwrap_or(State::NotServing)))
    }

    /// Follows all backends until the process ends; from `unready` on the edge as a whole is NOT_SERVING.
    pub(crate) async fn follow(self, shutdown: Shutdown) {
        let mut watches = JoinSet::new();
        for backend in self.backends.iter().cloned() {
            watches.spawn(self.clone().watch(backend));
        }
        shutdown.unready().await;
        *self.unready.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.sum_up();
        while watches.join_next().await.is_some() {}
    }

    async fn watch(self, backend: Backend) {
        let mut retry = RETRY_MIN;
        loop {
            let status = self.watch_once(&backend, &mut retry).await;
            // It answers, it only has no opinion on its health.
            let answers = status.code() == Code::Unimplemented;
            self.set(&backend, if answers { State::Serving } else { State::NotServing });
            self.sum_up();
            tokio::time::sleep(if answers { PROBE_INTERVAL } else { retry }).await;
            retry = (retry * 2).min(RETRY_MAX);
        }
    }

    /// Follows one stream of states to its end, or until the backend gives no sign of life.
    async fn watch_once(&self, backend: &Backend, retry: &mut Duration) -> Status {
        let mut client = HealthClient::new(backend.link.clone());
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
                    self.set(backend, state.status());
                    self.sum_up();
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

    fn set(&self, backend: &Backend, state: State) {
        let state = if state == State::Serving { State::Serving } else { State::NotServing };
        if self.registry.get(&backend.name).is_some_and(|before| before != state) {
            if state == State::Serving {
                tracing::info!(backend = %backend.name, "a backend serves");
            } else {
                tracing::warn!(backend = %backend.name, "a backend does not serve any more");
            }
        }
        for name in backend.services.iter().chain([&backend.name]) {
            self.registry.set(name, state);
        }
    }

    fn sum_up(&self) {
        let unready = self.unready.lock().unwrap_or_else(PoisonError::into_inner);
        let serving = self.by_name().all(|(_, state)| state == State::Serving) && !*unready;
        self.registry.set("", if serving { State::Serving } else { State::NotServing });
    }
}

fn silent() -> Status {
    Status::deadline_exceeded("the backend gives no sign of life")
}
