//! The way to a service: takes a call, chooses an endpoint, tries another when the call cannot have been seen.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tonic::body::Body;

use crate::addresses::Addresses;
use crate::endpoint::{Endpoint, Unanswered};
use crate::error::Error;
use crate::follow::Ticket;
use crate::lent::Lent;
use crate::table::{Health, Table};
use crate::tls::Tls;
use crate::{health, metrics, resolve};

/// Most endpoints one call is tried at.
const TRIES_MAX: usize = 4;

/// Calls to one service over however many endpoints; cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Balancer(Arc<Shared>);

/// What calls, health checks and discovery share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    /// Of all its connections.
    tls: Option<Tls>,
    table: Mutex<Table<Arc<Endpoint>>>,
    /// Whether names have been looked up, with or without success.
    pub(crate) looked_up: watch::Sender<bool>,
    /// Asks for names to be looked up before their time.
    pub(crate) look_again: Arc<Notify>,
    random: AtomicU64,
}

impl Balancer {
    /// Begins to follow a service's endpoints: until the last clone is dropped, and on the runtime this is called on,
    /// which has to be entered. `name` is a label of metrics and logs. Connections are made when they are needed. `tls`
    /// is for secure addresses; without it they are of those the machine trusts.
    #[must_use]
    pub fn new(name: &str, addresses: &Addresses, tls: Option<Tls>) -> Self {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            tls: addresses.are_secure().then(|| tls.unwrap_or_else(Tls::of_machine)),
            table: Mutex::default(),
            looked_up: watch::Sender::new(false),
            look_again: Arc::default(),
            random: AtomicU64::new(seed()),
        });
        match addresses.literal() {
            Some(endpoints) => shared.replace(endpoints),
            None => drop(tokio::spawn(resolve::follow(Arc::downgrade(&shared), addresses.clone()))),
        }
        tokio::spawn(health::watch(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// Makes a call, whose answer has to begin within `timeout`. Dropping the future cancels it.
    ///
    /// # Errors
    /// [`Error::Unreached`], at once, when no endpoint takes it; [`Error::Late`]; [`Error::Lost`]; [`Error::Reset`].
    pub async fn call(&self, request: Request<Body>, timeout: Option<Duration>) -> Result<Response<Body>, Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        match timeout {
            Some(timeout) => {
                tokio::time::timeout(timeout, self.try_each(request, deadline)).await.unwrap_or(Err(Error::Late))
            }
            None => self.try_each(request, None).await,
        }
    }

    async fn try_each(&self, request: Request<Body>, deadline: Option<Instant>) -> Result<Response<Body>, Error> {
        let request = Lent::new(request);
        let mut tried = Vec::new();
        let mut cause: Box<dyn std::error::Error + Send + Sync> = "no endpoint is known to answer".into();
        for _ in 0..TRIES_MAX {
            let Some((ticket, endpoint)) = self.pick(&tried, deadline).await else { break };
            match endpoint.send(request.lend()).await {
                Ok(response) => return Ok(ticket.follow(response)),
                Err(Unanswered::NotOpened(reason)) => {
                    self.0.set_health(endpoint.address, reason.health(), &reason.to_string());
                    self.0.look_again.notify_one();
                    tried.push(endpoint.address);
                    cause = reason.into();
                }
                // Not counted as tried: a connection that was closed in good order can be made again.
                Err(Unanswered::Failed(Error::Unreached(error))) if request.is_whole() => cause = error,
                Err(Unanswered::Failed(error)) => {
                    ticket.failed(&error);
                    return Err(error);
                }
            }
        }
        Err(Error::Unreached(cause))
    }

    async fn pick(&self, tried: &[SocketAddr], deadline: Option<Instant>) -> Option<(Ticket, Arc<Endpoint>)> {
        let shared = &self.0;
        let pick = || {
            let (mut table, now) = (shared.table(), Instant::now());
            // `None` where there is nothing to choose from yet.
            (!table.is_empty()).then(|| {
                let (address, endpoint) = table.pick(now, shared.random(), tried)?;
                Some((Ticket::new(shared.clone(), address, now, deadline), endpoint))
            })
        };
        if let Some(picked) = pick() {
            return picked;
        }
        shared.look_again.notify_one();
        shared.looked_up.subscribe().wait_for(|looked_up| *looked_up).await.ok()?;
        pick().flatten()
    }
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table<Arc<Endpoint>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn replace(&self, endpoints: impl IntoIterator<Item = (SocketAddr, Authority)>) {
        let endpoint = |(address, authority)| (address, Arc::new(Endpoint::new(address, authority, self.tls.clone())));
        self.table().replace(Instant::now(), endpoints.into_iter().map(endpoint));
    }

    /// Sets an endpoint's health, and logs it when it changes; why, where it is for the worse.
    pub(crate) fn set_health(&self, address: SocketAddr, health: Health, reason: &str) {
        let before = self.table().set_health(address, health);
        match before {
            Some(before) if before != health => {
                tracing::info!(service = self.name, %address, ?before, now = ?health, reason, "an endpoint's state changed");
            }
            _ => {}
        }
    }

    /// A call ended, well or not.
    pub(crate) fn ended(&self, address: SocketAddr, failed: bool) {
        if let Some(reason) = self.table().ended(address, failed, Instant::now()) {
            tracing::warn!(service = self.name, %address, ?reason, "an endpoint fails too often and is left out");
            metrics::ejected(&self.name, reason);
        }
    }

    /// SplitMix64 (Steele, Lea and Flood 2014): every caller's own step of one sequence.
    fn random(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.random.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// Different in each process, so that clients do not choose alike.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests;
