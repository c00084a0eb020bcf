//! `grpc.health.v1` over a registry of names.
//!
//! Unlike tonic-health's own service, a watch on an unknown name answers SERVICE_UNKNOWN and stays open, as the
//! protocol asks, and the empty name is never SERVING before its process is.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::status::shown;

/// Most names a registry keeps, watched unknown ones included.
const NAMES_MAX: usize = 1_000;
/// Longest unknown name that can be watched.
const NAME_BYTES_MAX: usize = 256;

/// What a name's state is.
pub type State = ServingStatus;

/// The states of named services; cheap to clone, all clones are one registry.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<RwLock<BTreeMap<String, watch::Sender<State>>>>);

impl Registry {
    /// Sets a name's state and wakes its watchers.
    pub fn set(&self, name: &str, state: State) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match names.get(name) {
            Some(sender) => {
                sender.send_if_modified(|now| std::mem::replace(now, state) != state);
            }
            None => {
                names.insert(name.to_owned(), watch::Sender::new(state));
            }
        }
    }

    /// A name's state; `None` when it is not known.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<State> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).map(|sender| *sender.borrow()).filter(|state| *state != State::ServiceUnknown)
    }

    /// All names and their states, ordered by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, State)> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().map(|(name, sender)| (name.clone(), *sender.borrow()));
        known.filter(|(_, state)| *state != State::ServiceUnknown).collect()
    }

    /// Forgets all names, which ends every watch: a process that drains must not wait for its watchers.
    pub fn close(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The gRPC service over this registry.
    #[must_use]
    pub fn service(&self) -> HealthServer<impl Health + use<>> {
        HealthServer::new(Service(self.clone()))
    }

    /// Watches a name, known or not; `None` when the registry is full or the name too long.
    fn subscribe(&self, name: &str) -> Option<watch::Receiver<State>> {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = names.get(name) {
            return Some(sender.subscribe());
        }
        if names.len() >= NAMES_MAX {
            names.retain(|_, sender| sender.receiver_count() > 0 || *sender.borrow() != State::ServiceUnknown);
        }
        if names.len() >= NAMES_MAX || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let sender = watch::Sender::new(State::ServiceUnknown);
        let receiver = sender.subscribe();
        names.insert(name.to_owned(), sender);
        Some(receiver)
    }
}

struct Service(Registry);

#[tonic::async_trait]
impl Health for Service {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        let state =
            self.0.get(&name).ok_or_else(|| Status::not_found(format!("unknown service {:?}", shown(&name))))?;
        Ok(Response::new(HealthCheckResponse { status: state.into() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let receiver = self
            .0
            .subscribe(&request.into_inner().service)
            .ok_or_else(|| Status::resource_exhausted("too many names are being watched, or this one is too long"))?;
        let states = WatchStream::new(receiver).map(|state| Ok(HealthCheckResponse { status: state.into() }));
        Ok(Response::new(Box::pin(states)))
    }
}

#[cfg(test)]
mod tests;
