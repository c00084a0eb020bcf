//! What each client has: its open connections, places for its requests, and what is held of them; and how many
//! connections were refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use malla_runtime::client::network;
use opentelemetry::global;
use opentelemetry::metrics::Counter;
use tokio::time::Instant;

use crate::buffered::Budget;
use crate::config::Config;
use crate::limit::Limit;
use crate::seldom::Seldom;

/// The clients that are connected now; all clones are one count.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<IpAddr, Client>>>);

#[derive(Debug)]
struct Client {
    connections: usize,
    places: Places,
}

/// Room for a client's requests, on whichever connection.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) calls: Limit,
    /// For what the edge answers itself: a proxy that is at its limit of calls can still ask how the edge is.
    pub(crate) own: Limit,
    /// Bytes held of bodies.
    pub(crate) buffered: Budget,
}

impl Places {
    fn new(config: &Config) -> Self {
        let limit = || Limit::new(config.requests_per_ip_max);
        Self { calls: limit(), own: limit(), buffered: Budget::new(config.buffered_bytes_per_ip_max) }
    }
}

/// One connection of a client, until it is dropped.
#[derive(Debug)]
pub(super) struct Connected {
    client: IpAddr,
    pub(super) places: Places,
    clients: Clients,
}

impl Clients {
    /// Counts a connection; `None` when its client has as many as it may.
    pub(super) fn enter(&self, address: IpAddr, config: &Config) -> Option<Connected> {
        let address = network(address);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(address).or_insert_with(|| Client { connections: 0, places: Places::new(config) });
        if client.connections >= config.connections_per_ip_max {
            return None;
        }
        client.connections += 1;
        Some(Connected { client: address, places: client.places.clone(), clients: self.clone() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut clients = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get_mut(&self.client) {
            client.connections -= 1;
            if client.connections == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

/// Counts connections that were refused, all of them for the metric and those not told of yet for the log.
#[derive(Debug)]
pub(super) struct Refused {
    all: Counter<u64>,
    seldom: Seldom,
}

impl Default for Refused {
    fn default() -> Self {
        let meter = global::meter("malla");
        let all = meter.u64_counter("malla.edge.connections_refused");
        let all = all.with_description("Connections closed at once: their clients had too many open").build();
        Self { all, seldom: Seldom::new() }
    }
}

impl Refused {
    /// One more. How many to tell of, if it is time to.
    pub(super) fn add(&self) -> Option<u64> {
        self.all.add(1, &[]);
        self.seldom.add(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_client() {
        let clients = Clients::default();
        let config = Config { connections_per_ip_max: 1, ..Config::default() };
        let enter = |address: &str| clients.enter(address.parse().unwrap(), &config);
        let first = enter("10.0.0.1");
        assert!(first.is_some() && enter("10.0.0.1").is_none() && enter("::ffff:10.0.0.1").is_none());
        let network = enter("2001:db8::1");
        assert!(network.is_some() && enter("2001:db8::2").is_none() && enter("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(enter("10.0.0.1").is_some());
        assert_eq!(clients.0.lock().unwrap().len(), 1, "who left is forgotten");
    }
}
