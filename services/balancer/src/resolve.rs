//! Names to endpoints, again and again: who runs a service comes and goes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use futures_util::future::join_all;
use http::uri::Authority;
use tokio::time::{sleep, timeout};

use crate::addresses::Addresses;
use crate::balancer::Shared;

const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two look-ups, however many connections fail.
const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Looks names up until the balancer is gone. What a name last stood for stays when it cannot be looked up.
pub(crate) async fn follow(shared: Weak<Shared>, addresses: Addresses) {
    let Some(again) = shared.upgrade().map(|shared| shared.look_again.clone()) else { return };
    let mut known: HashMap<&Authority, Vec<SocketAddr>> = HashMap::new();
    loop {
        let looked_up = join_all(addresses.hosts().map(|(host, port)| look_up(host, port))).await;
        let Some(shared) = shared.upgrade() else { return };
        for ((host, _), found) in addresses.hosts().zip(looked_up) {
            match found {
                Ok(found) => drop(known.insert(host, found)),
                Err(error) => tracing::warn!(service = shared.name, %host, error, "a name cannot be looked up"),
            }
        }
        let all = addresses.hosts().filter_map(|(host, _)| Some((host, known.get(host)?)));
        shared.replace(all.flat_map(|(host, found)| found.iter().map(|address| (*address, host.clone()))));
        shared.looked_up.send_replace(true);
        drop(shared);
        sleep(PAUSE).await;
        let _ = timeout(INTERVAL - PAUSE, again.notified()).await;
    }
}

async fn look_up(host: &Authority, port: u16) -> Result<Vec<SocketAddr>, String> {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    match timeout(TIMEOUT, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(found)) => {
            let mut found: Vec<SocketAddr> = found.collect();
            // Their order changes from one answer to the next; which are left out over the limit must not.
            found.sort();
            if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) }
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {TIMEOUT:?}")),
    }
}
