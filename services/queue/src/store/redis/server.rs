//! What is known of a Redis: what its acknowledgements are worth, and which of its nodes have replicas.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use fred::error::ErrorKind;
use fred::interfaces::{ClientLike, ClusterInterface as _};
use fred::types::config::Server as Node;
use fred::types::{CustomCommand, InfoKind};
use futures_util::future::{try_join, try_join_all};
use malla_storage::redis::{self, Client, Error};

use super::Durability;
use crate::config;

/// Histories that are remembered, more than a Cluster has nodes.
const HISTORIES_MAX: usize = 10_000;

/// What is known of the server now; of a Cluster's nodes, the least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) durability: Durability,
    replicas_min: u32,
    /// Those whose pushes need not wait: they have no replicas, and have had none.
    alone: BTreeSet<Option<Node>>,
}

impl Server {
    /// How many replicas a push has to reach.
    pub(super) fn replicas(&self, client: &Client, slot: u16) -> u32 {
        let is_alone = self.durability == Durability::Relaxed || self.alone.contains(&node(client, slot));
        self.replicas_min.max(u32::from(!is_alone))
    }
}

/// The node of a Cluster that has a slot.
pub(super) fn node(client: &Client, slot: u16) -> Option<Node> {
    client.cached_cluster_state()?.get_server(slot).cloned()
}

/// Looks at servers, and remembers which have had replicas.
#[derive(Clone, Debug)]
pub(super) struct Looker {
    require_durable: bool,
    replicas_min: u32,
    /// By the replication ids of those that had them. A server that loses its replicas may be one that another has been put
    /// in the place of; one that has taken a place has an id of its own.
    replicated: Arc<Mutex<HashSet<String>>>,
}

impl Looker {
    pub(super) fn new(config: &config::Redis) -> Self {
        let config::Redis { require_durable, replicas_min, .. } = *config;
        Self { require_durable, replicas_min, replicated: Arc::default() }
    }

    /// Asks all nodes.
    ///
    /// # Errors
    /// When one does not answer, takes no writes, or is not as durable as is demanded.
    pub(super) async fn look(self, client: Client) -> Result<Arc<Server>, Error> {
        let masters = client.cached_cluster_state().map(|state| state.unique_primary_nodes()).unwrap_or_default();
        let looks = if masters.is_empty() {
            vec![(None, look_at(&client).await?)]
        } else {
            try_join_all(masters.into_iter().map(|master| async {
                let seen = look_at(&client.with_cluster_node(&master)).await?;
                Ok::<_, Error>((Some(master), seen))
            }))
            .await?
        };
        let mut server =
            Server { durability: Durability::Durable, replicas_min: self.replicas_min, alone: BTreeSet::new() };
        for (node, seen) in looks {
            if !seen.is_durable {
                server.durability = Durability::Relaxed;
            }
            if !self.has_or_had_replicas(seen) {
                server.alone.insert(node);
            }
        }
        if self.require_durable && server.durability == Durability::Relaxed {
            let cause = "queue.redis.require_durable is set, and this Redis is not known to have appendonly yes, \
                appendfsync always and maxmemory-policy noeviction";
            return Err(Error::new(ErrorKind::Config, cause));
        }
        Ok(Arc::new(server))
    }

    fn has_or_had_replicas(&self, Seen { history, has_replicas, .. }: Seen) -> bool {
        let mut replicated = self.replicated.lock().unwrap_or_else(PoisonError::into_inner);
        if has_replicas && replicated.len() < HISTORIES_MAX {
            replicated.insert(history.clone());
        }
        has_replicas || replicated.contains(&history)
    }
}

/// What one node says of itself.
struct Seen {
    is_durable: bool,
    /// Its replication id.
    history: String,
    has_replicas: bool,
}

/// Asks all at once: each answer may have to wait for the pushes before it.
async fn look_at(client: &impl ClientLike) -> Result<Seen, Error> {
    let told = |answer: Result<String, Error>| match answer {
        Err(error) if redis::is_away(&error) => Err(error),
        // Who may not ask does not know.
        answer => Ok(answer.unwrap_or_default()),
    };
    let needed = [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];
    let settings = needed.map(|(setting, needed)| async move {
        let config = CustomCommand::new_static("CONFIG", None, false);
        let pair: Result<Vec<String>, _> = client.custom(config, vec!["GET", setting]).await;
        Ok(told(pair.map(|mut pair| pair.pop().unwrap_or_default()))? == needed)
    });
    let info = async { told(client.info(Some(InfoKind::Replication)).await) };
    let (settings, info) = try_join(try_join_all(settings), info).await?;
    let said = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
    if said("role:") == "slave" {
        return Err(Error::new(ErrorKind::IO, "READONLY: another server has taken its place"));
    }
    Ok(Seen {
        is_durable: settings.into_iter().all(|is_set| is_set),
        history: said("master_replid:").to_owned(),
        has_replicas: !matches!(said("connected_slaves:"), "" | "0"),
    })
}
