//! How many connections each client has open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The clients that are connected now; all clones are one count.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of a client, until it is dropped.
#[derive(Debug)]
pub(super) struct Connected {
    client: IpAddr,
    clients: Clients,
}

impl Clients {
    /// Counts a connection; `None` when its client has `max` of them.
    pub(super) fn enter(&self, address: IpAddr, max: usize) -> Option<Connected> {
        let client = client(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&client).is_some_and(|open| *open >= max) {
            return None;
        }
        *open.entry(client).or_default() += 1;
        Some(Connected { client, clients: self.clone() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut open = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// One subscriber of IPv6 has 2^64 addresses to call from, so there the network counts.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_client() {
        let clients = Clients::default();
        let enter = |address: &str| clients.enter(address.parse().unwrap(), 1);
        let first = enter("10.0.0.1");
        assert!(first.is_some() && enter("10.0.0.1").is_none() && enter("::ffff:10.0.0.1").is_none());
        let network = enter("2001:db8::1");
        assert!(network.is_some() && enter("2001:db8::2").is_none() && enter("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(enter("10.0.0.1").is_some());
        assert_eq!(clients.0.lock().unwrap().len(), 1, "who left is forgotten");
    }
}
