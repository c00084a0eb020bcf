//! `malla run`: binds every port, starts the services, puts the edge in front, and drains them all at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use malla_edge::{About, Backend, Edge};
use malla_runtime::auth::{Authenticator, mesh_header};
use malla_runtime::config::Error;
use malla_runtime::link::{Link, Links};
use malla_runtime::module::{Context, Entry, Started};
use malla_runtime::shutdown::{self, Shutdown};
use malla_runtime::telemetry::Telemetry;
use malla_runtime::{guard, server};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::data_dir;
use crate::deferral::Deferral;
use crate::modules::{AUTHORITY, KEEPER, MODULES};
use crate::output::{self, Row, print};
use crate::process::{Process, missing_links};

/// How long a start waits to hear of keys and revocations; without them it serves, but refuses tokens.
const AUTHORITY_WAIT: Duration = Duration::from_secs(5);

/// Runs a process until it is told to stop and has drained.
pub(crate) async fn run(mut process: Process) -> anyhow::Result<()> {
    let local: Vec<&str> = process.services.iter().map(|(entry, _)| entry.name).collect();
    refuse_missing(&process)?;
    let telemetry = Arc::new(Telemetry::start(&process.telemetry).map_err(|error| anyhow!(error))?);
    let listeners = Listeners::bind(&process).await?;
    data_dir::prepare(&process.data_dir)?;
    data_dir::complete_auth(&mut process.auth, &process.data_dir)?;

    let shutdown = Shutdown::new(Duration::from_millis(process.shutdown.drain_ms));
    let signals = tokio::spawn(shutdown::on_signal(shutdown.clone(), process.shutdown.clone()));
    let authenticator = Arc::new(Authenticator::new(&process.auth));
    let links = Links::new(&local, &process.discovery);
    let context = Context {
        data_dir: process.data_dir.clone(),
        links: links.clone(),
        auth: process.auth.clone(),
        authenticator: authenticator.clone(),
        shutdown: shutdown.clone(),
    };
    // Also of services that need not know callers: they tell their idempotency keys apart. Who needs it has it by now.
    let has_authority = local.contains(&AUTHORITY) || process.discovery.contains_key(AUTHORITY);
    let mut started = Vec::new();
    for (entry, plan) in std::mem::take(&mut process.services) {
        let service = plan.start(&entry, &context, &process.server).await;
        started.push((entry, service.map_err(|error| anyhow!("{}: {error}", entry.name))?));
    }
    if has_authority {
        let local = local.contains(&AUTHORITY);
        follow_authority(&process, &links, local, authenticator.clone())?;
        if local {
            authenticator.ready(AUTHORITY_WAIT).await;
        }
    }
    let edge = if process.with_edge { Some(edge(&process, &links, authenticator)?) } else { None };
    print(&describe(&listeners, &started)?)?;
    serve(listeners, edge, started, &process.server, telemetry.clone(), &shutdown).await?;
    signals.abort();
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    Ok(())
}

/// Follows the authority on a thread of its own: work that keeps every other one busy must not silence it, or tokens
/// would be refused.
fn follow_authority(
    process: &Process,
    links: &Links,
    local: bool,
    authenticator: Arc<Authenticator>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let link = {
        // A link lives on the runtime it is made on, so this one is made anew.
        let _entered = runtime.enter();
        match process.discovery.get(AUTHORITY) {
            Some(addresses) if !local => Link::remote(AUTHORITY, addresses),
            _ => links.get(AUTHORITY)?,
        }
    };
    let authority = malla_users::authority(link.as_service(&mesh_header(&process.auth)?));
    let follow = move || runtime.block_on(authenticator.follow(authority));
    std::thread::Builder::new().name(AUTHORITY.to_owned()).spawn(follow)?;
    Ok(())
}

/// The edge in front of every service of the mesh, local or not.
pub(crate) fn edge(process: &Process, links: &Links, authenticator: Arc<Authenticator>) -> anyhow::Result<Edge> {
    let backend = |entry: Entry| {
        Ok(Backend {
            name: entry.name.to_owned(),
            services: entry.services.iter().map(|&name| name.to_owned()).collect(),
            descriptors: Bytes::from_static(entry.descriptors),
            link: links.get(entry.name)?,
            foreign: false,
        })
    };
    let backends = MODULES.into_iter().map(backend).collect::<Result<Vec<_>, Error>>()?;
    let keeper = links.get(KEEPER)?.as_service(&mesh_header(&process.auth)?);
    let builder = Edge::builder()
        .config(process.edge.clone())
        .about(about())
        .authenticator(authenticator)
        .deferral(Arc::new(Deferral::new(keeper)));
    Ok(backends.into_iter().fold(builder, malla_edge::Builder::backend).build()?)
}

/// What an edge says about itself.
pub(crate) fn about() -> About {
    About { name: "malla".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

fn refuse_missing(process: &Process) -> anyhow::Result<()> {
    let missing = missing_links(process).map_err(|error| anyhow!(error))?;
    if missing.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = missing.iter().map(|name| format!("discovery.{name}")).collect();
    let expected = "this process does not run it and needs its address, http://host:port, or several; deploy/config/split.toml \
                    has one for each service on one machine (--config)";
    Err(Error::missing(keys.join(", "), expected).into())
}

/// Every port of the process, bound before anything else happens.
struct Listeners {
    edge: Option<TcpListener>,
    admin: Option<TcpListener>,
    services: Vec<(&'static str, TcpListener)>,
}

impl Listeners {
    async fn bind(process: &Process) -> anyhow::Result<Self> {
        let edge = if process.with_edge { Some(bind("edge", process.edge_address()?).await?) } else { None };
        let admin = match process.admin_address()? {
            Some(address) => Some(bind("admin", address).await?),
            None => None,
        };
        let mut services = Vec::new();
        for (entry, _) in &process.services {
            if let Some(address) = process.service_address(entry)? {
                services.push((entry.name, bind(entry.name, address).await?));
            }
        }
        Ok(Self { edge, admin, services })
    }

    fn of(&self, name: &str) -> Option<&TcpListener> {
        self.services.iter().find(|(service, _)| *service == name).map(|(_, listener)| listener)
    }
}

pub(crate) async fn bind(name: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("{name} cannot listen on {address}; set listen.{name} to another address"))
}

fn describe(listeners: &Listeners, started: &[(Entry, Started)]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    if let Some(listener) = &listeners.edge {
        let address = format!("http://{}", listener.local_addr()?);
        rows.push(Row { name: "edge", listens: address, store: "-".to_owned() });
    }
    for (entry, service) in started {
        let listens = match listeners.of(entry.name) {
            Some(listener) => format!("http://{}", listener.local_addr()?),
            None => "in process, through the edge".to_owned(),
        };
        rows.push(Row { name: entry.name, listens, store: service.store.clone() });
    }
    if let Some(listener) = &listeners.admin {
        rows.push(Row { name: "admin", listens: format!("http://{}", listener.local_addr()?), store: "-".to_owned() });
    }
    Ok(output::table(&rows, &examples(listeners, started)?))
}

/// Three calls to try: over HTTP where there is an edge, else with a gRPC client against the first service.
fn examples(listeners: &Listeners, started: &[(Entry, Started)]) -> anyhow::Result<Vec<String>> {
    if let Some(listener) = &listeners.edge {
        let address = format!("http://{}", listener.local_addr()?);
        let modules =
            if started.is_empty() { MODULES.to_vec() } else { started.iter().map(|(entry, _)| *entry).collect() };
        // The first of each of the last three, or more of fewer.
        let all = (0..3).flat_map(|nth| modules.iter().rev().map(move |module| module.examples[nth]));
        return Ok(all.take(3).map(|example| example.replace("{edge}", &address)).collect());
    }
    let Some(((entry, _), (_, listener))) = started.first().zip(listeners.services.first()) else {
        return Ok(Vec::new());
    };
    let (address, service) = (listener.local_addr()?, entry.services.first().copied().unwrap_or_default());
    Ok(vec![
        format!("grpcurl -plaintext {address} list"),
        format!("grpcurl -plaintext {address} describe {service}"),
        format!("grpcurl -plaintext {address} grpc.health.v1.Health/Check"),
    ])
}

/// Serves until the shutdown has drained everything. The first server that fails ends the process.
async fn serve(
    listeners: Listeners,
    edge: Option<Edge>,
    started: Vec<(Entry, Started)>,
    config: &guard::Config,
    telemetry: Arc<Telemetry>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut servers = JoinSet::new();
    if let (Some(edge), Some(listener)) = (edge, listeners.edge) {
        servers.spawn(malla_edge::serve(edge, listener, shutdown.clone()));
    }
    for (name, listener) in listeners.services {
        if let Some((_, service)) = started.iter().find(|(entry, _)| entry.name == name) {
            let (guard, config, shutdown) = (service.guard.clone(), config.clone(), shutdown.clone());
            servers.spawn(async move { server::serve(listener, guard, &config, shutdown).await });
        }
    }
    if let Some(listener) = listeners.admin {
        let health = started.iter().map(|(_, service)| service.health.clone()).collect();
        servers.spawn(admin::serve(listener, Admin { telemetry, health }, shutdown.clone()));
    }
    let shutdown = shutdown.clone();
    servers.spawn(async move {
        shutdown.drained().await;
        Ok(())
    });
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}
