//! `malla edge`: the edge alone, in front of anybody's gRPC servers. It knows none of the mesh's services, asks nobody for
//! tokens, and keeps nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use malla_edge::{Follower, Upstream};
use malla_runtime::config::{self, Error};
use malla_runtime::shutdown::{self, Shutdown};
use malla_runtime::telemetry::{self, Telemetry};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::cli::{Edge, Options};
use crate::output::{self, Row, print};
use crate::process::{ADMIN, EDGE, OFF, address, check_shutdown};
use crate::run::{self, bind};
use crate::upstream::{Server, unusable, upstreams};

/// What `malla edge` is to do, read and checked as a whole.
pub(crate) struct Settings {
    edge: malla_edge::Config,
    edge_address: SocketAddr,
    admin_address: Option<SocketAddr>,
    shutdown: shutdown::Config,
    telemetry: telemetry::Config,
    upstreams: BTreeMap<String, Server>,
}

impl Settings {
    /// Reads everything. Nothing of what the mesh sets for its own clients holds here.
    pub(crate) fn read(options: &Options, arguments: &Edge) -> Result<Self, Error> {
        let listen = [(EDGE, &arguments.listen), (ADMIN, &arguments.admin)];
        let overrides: Vec<(String, String)> = listen
            .into_iter()
            .filter_map(|(name, address)| Some((format!("listen.{name}"), address.clone()?)))
            .collect();
        let settings = config::Settings::load("", options.config.as_deref(), &overrides)?;
        settings.refuse_unknown(&[EDGE, "listen", "shutdown", "telemetry", "upstreams"])?;
        let listen: BTreeMap<String, String> = settings.section("listen")?;
        if let Some(name) = listen.keys().find(|name| *name != EDGE && *name != ADMIN) {
            return Err(Error::Unknown { name: format!("listen.{name}"), known: format!("{EDGE}, {ADMIN}") });
        }
        let nowhere = || Error::invalid("listen.edge", "off", "it may be an IP address and a port");
        let mut read = Self {
            edge: settings.section(EDGE)?,
            edge_address: address(&listen, EDGE, 8000)?.ok_or_else(nowhere)?,
            admin_address: address(&listen, ADMIN, 9090)?,
            shutdown: settings.section("shutdown")?,
            telemetry: settings.section("telemetry")?,
            upstreams: upstreams(&settings)?,
        };
        for (name, server) in &mut read.upstreams {
            server.read_tls(|key| format!("upstreams.{name}.{key}"))?;
        }
        read.add_arguments(arguments)?;
        read.edge.check()?;
        check_shutdown(&read.shutdown)?;
        read.telemetry.filter()?;
        Ok(read)
    }

    /// The effective settings.
    pub(crate) fn print(&self) -> Result<String, toml::ser::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            listen: BTreeMap<&'static str, String>,
            shutdown: &'a shutdown::Config,
            telemetry: &'a telemetry::Config,
            edge: &'a malla_edge::Config,
            upstreams: &'a BTreeMap<String, Server>,
        }
        let admin = self.admin_address.map_or_else(|| OFF.to_owned(), |address| address.to_string());
        toml::to_string(&Shown {
            listen: [(EDGE, self.edge_address.to_string()), (ADMIN, admin)].into(),
            shutdown: &self.shutdown,
            telemetry: &self.telemetry,
            edge: &self.edge,
            upstreams: &self.upstreams,
        })
    }

    fn add_arguments(&mut self, arguments: &Edge) -> Result<(), Error> {
        self.edge.rules.extend_from_slice(&arguments.rules);
        self.edge.auto_mapping |= arguments.auto_mapping;
        if !arguments.descriptors.is_empty() && arguments.upstreams.len() != 1 {
            let expected = "they need one --upstream, whose they are; for several, set upstreams.<name>.descriptors";
            return Err(Error::invalid("--descriptors", arguments.descriptors[0].display(), expected));
        }
        if let Some(file) = arguments.ca_file.as_ref().filter(|_| arguments.upstreams.len() != 1) {
            let expected = "it needs one --upstream, whose it is; for several, set upstreams.<name>.ca_file";
            return Err(Error::invalid("--ca-file", file.display(), expected));
        }
        for text in &arguments.upstreams {
            let expected =
                "it may be http://host:port or https://host:port, or several of one kind with commas between";
            let address = text.parse().map_err(|_| Error::invalid("--upstream", text, expected))?;
            let mut server = Server::new(address, arguments.descriptors.clone(), arguments.ca_file.clone());
            server.read_tls(|_| "--ca-file".to_owned())?;
            let name = text.trim_start_matches("http://").trim_start_matches("https://");
            let name = name.trim_end_matches('/').to_owned();
            if self.upstreams.insert(name, server).is_some() {
                return Err(Error::invalid("--upstream", text, "it is there twice"));
            }
        }
        if self.upstreams.is_empty() {
            let expected =
                "name a gRPC server, --upstream http://host:port (or https://), or several in [upstreams.<name>]";
            return Err(Error::missing("upstreams", expected));
        }
        Ok(())
    }
}

/// Serves until it is told to stop and has drained. What files say is known before anything is served; what servers say
/// of themselves is waited for.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let telemetry = Arc::new(Telemetry::start(&settings.telemetry).map_err(|error| anyhow!(error))?);
    let listener = bind(EDGE, settings.edge_address).await?;
    let admin = match settings.admin_address {
        Some(address) => Some(bind(ADMIN, address).await?),
        None => None,
    };
    let shutdown = Shutdown::new(Duration::from_millis(settings.shutdown.drain_ms));
    let signals = tokio::spawn(shutdown::on_signal(shutdown.clone(), settings.shutdown));
    let upstreams: Vec<Upstream> = settings.upstreams.into_iter().map(|(name, server)| server.upstream(name)).collect();
    let edge = build(settings.edge, &upstreams)?;
    let again = on_hangup()?;
    let mut followers = Vec::new();
    for upstream in upstreams {
        let (is_declared, key) = (!upstream.descriptors.is_empty(), format!("upstreams.{}.descriptors", upstream.name));
        let mut follower = Follower::new(edge.clone(), upstream);
        if is_declared {
            follower.read().await.map_err(|error| unusable(&key, error))?;
        }
        followers.push(follower);
    }
    edge.check_settings()?;
    for follower in followers {
        tokio::spawn(follower.follow(again.clone()));
    }
    print(&describe(&listener, admin.as_ref())?)?;
    let mut servers = JoinSet::new();
    if let Some(listener) = admin {
        let admin = Admin { telemetry: telemetry.clone(), health: vec![edge.registry()] };
        servers.spawn(admin::serve(listener, admin, shutdown.clone()));
    }
    servers.spawn(malla_edge::serve(edge, listener, shutdown));
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    signals.abort();
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    Ok(())
}

/// Whoever calls is the upstreams' affair: credentials are passed on, and nobody here could check them.
fn build(config: malla_edge::Config, upstreams: &[Upstream]) -> anyhow::Result<malla_edge::Edge> {
    let builder = malla_edge::Edge::builder().config(config).about(run::about());
    Ok(upstreams.iter().map(Upstream::unknown).fold(builder, malla_edge::Builder::backend).build()?)
}

/// Changes at every SIGHUP, which then ends no process.
fn on_hangup() -> std::io::Result<watch::Receiver<()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (sender, receiver) = watch::channel(());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: it is read again what the upstreams serve");
            sender.send_replace(());
        }
    });
    Ok(receiver)
}

fn describe(edge: &TcpListener, admin: Option<&TcpListener>) -> std::io::Result<String> {
    let address = edge.local_addr()?;
    let row = |name, listener: &TcpListener| {
        Ok(Row { name, listens: format!("http://{}", listener.local_addr()?), store: "-".to_owned() })
    };
    let rows = [Some(row(EDGE, edge)), admin.map(|listener| row(ADMIN, listener))];
    let rows = rows.into_iter().flatten().collect::<std::io::Result<Vec<_>>>()?;
    let examples = [format!("curl http://{address}/health"), format!("grpcurl -plaintext {address} list")];
    Ok(output::table(&rows, &examples))
}
