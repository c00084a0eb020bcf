//! The health of every backend, followed by `grpc.health.v1.Health/Watch` over its link, local or remote alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use malla_runtime::health::{Registry, State};
use malla_runtime::shutdown::Shutdown;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::load::Backend;

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How often a backend without a health service is looked at again.
const RECHECK: Duration = Duration::from_secs(10);

/// What the edge knows of its backends' health; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) registry: Registry,
    backends: Arc<[Backend]>,
    unready: Arc<AtomicBool>,
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
        self.unready.store(true, Ordering::Relaxed);
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
            tokio::time::sleep(if answers { RECHECK } else { retry }).await;
            retry = (retry * 2).min(RETRY_MAX);
        }
    }

    /// Follows one stream of states to its end.
    async fn watch_once(&self, backend: &Backend, retry: &mut Duration) -> Status {
        let mut client = HealthClient::new(backend.link.clone());
        let everything = HealthCheckRequest { service: String::new() };
        let mut states = match client.watch(everything).await {
            Ok(response) => response.into_inner(),
            Err(status) => return status,
        };
        loop {
            match states.message().await {
                Ok(Some(state)) => {
                    *retry = RETRY_MIN;
                    self.set(backend, state.status());
                    self.sum_up();
                }
                Ok(None) => return Status::unavailable("the stream of states ended"),
                Err(status) => return status,
            }
        }
    }

    fn set(&self, backend: &Backend, state: State) {
        let state = if state == State::Serving { State::Serving } else { State::NotServing };
        if self.registry.get(&backend.name).is_some_and(|before| before != state) {
            tracing::info!(backend = %backend.name, state = state.as_str_name(), "a backend's health changed");
        }
        for name in backend.services.iter().chain([&backend.name]) {
            self.registry.set(name, state);
        }
    }

    fn sum_up(&self) {
        let serving = self.by_name().all(|(_, state)| state == State::Serving) && !self.unready.load(Ordering::Relaxed);
        self.registry.set("", if serving { State::Serving } else { State::NotServing });
    }
}
