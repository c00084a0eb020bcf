//! What one process is to run, read and checked as a whole before a port is bound or a file opened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use malla_runtime::config::{Error, Settings, check_ranges};
use malla_runtime::module::{Entry, Plan, StartError};
use malla_runtime::policy::Access;
use malla_runtime::{auth, guard, link, shutdown, telemetry};
use serde::Serialize;

use crate::cli::Options;
use crate::modules::{AUTHORITY, MODULES};
use crate::upstream::upstreams;

/// Of the mesh, below all settings.
pub(crate) const DEFAULTS: &str = include_str!("defaults.toml");
/// The target that is no service.
pub(crate) const EDGE: &str = "edge";
pub(crate) const ADMIN: &str = "admin";
/// An address of `[listen]` that means: do not listen.
pub(crate) const OFF: &str = "off";
const SECTIONS: [&str; 8] = ["auth", "data_dir", "discovery", "edge", "listen", "server", "shutdown", "telemetry"];

/// The settings of a process, its targets and their own settings.
pub(crate) struct Process {
    pub(crate) data_dir: PathBuf,
    pub(crate) auth: auth::Config,
    pub(crate) discovery: link::Config,
    pub(crate) server: guard::Config,
    pub(crate) shutdown: shutdown::Config,
    pub(crate) telemetry: telemetry::Config,
    pub(crate) edge: malla_edge::Config,
    /// The services to run, in starting order.
    pub(crate) services: Vec<(Entry, Plan)>,
    /// Whether the edge is a target.
    pub(crate) with_edge: bool,
    listen: BTreeMap<String, String>,
}

impl Process {
    /// Reads everything. Without targets, all services and the edge.
    pub(crate) fn read(
        options: &Options,
        targets: &[String],
        listen: Option<&str>,
        admin: Option<&str>,
    ) -> Result<Self, Error> {
        let services = select(targets)?;
        let with_edge = targets.is_empty() || targets.iter().any(|target| target == EDGE);
        let mut overrides = Vec::new();
        if let Some(dir) = &options.data_dir {
            let text = dir.to_str().ok_or_else(|| Error::invalid("--data-dir", dir.display(), "it has to be UTF-8"))?;
            overrides.push(("data_dir".to_owned(), text.to_owned()));
        }
        if let Some(address) = listen {
            overrides.push((format!("listen.{}", sole_listener(&services, with_edge, address)?), address.to_owned()));
        }
        if let Some(address) = admin {
            overrides.push((format!("listen.{ADMIN}"), address.to_owned()));
        }
        let settings = Settings::load(DEFAULTS, options.config.as_deref(), &overrides)?;
        if let Some(name) = upstreams(&settings)?.into_keys().next() {
            let expected =
                "only `malla edge` stands in front of such servers: start it with these settings, or leave them out";
            return Err(Error::invalid("upstreams", name, expected));
        }
        settings.refuse_unknown(&sections().collect::<Vec<_>>())?;
        let data_dir: String = settings.section("data_dir")?;
        let mut plans = Vec::new();
        for entry in MODULES {
            let plan = entry.plan(&settings)?;
            if services.iter().any(|service| service.name == entry.name) {
                plans.push((entry, plan));
            }
        }
        let process = Self {
            data_dir: PathBuf::from(if data_dir.is_empty() { "data".to_owned() } else { data_dir }),
            auth: settings.section("auth")?,
            discovery: settings.section("discovery")?,
            server: settings.section("server")?,
            shutdown: settings.section("shutdown")?,
            telemetry: settings.section("telemetry")?,
            edge: settings.section(EDGE)?,
            services: plans,
            with_edge,
            listen: settings.section("listen")?,
        };
        process.check_names()?;
        process.edge.check()?;
        process.check_limits()?;
        auth::mesh_header(&process.auth)?;
        if with_edge {
            process.edge_address()?;
        }
        process.telemetry.filter()?;
        process.refuse_development_token()?;
        Ok(process)
    }

    /// Where the edge listens.
    pub(crate) fn edge_address(&self) -> Result<SocketAddr, Error> {
        self.address(EDGE, 8000)?.ok_or_else(|| {
            Error::invalid("listen.edge", OFF, "it may be an IP address and a port; without the edge, name the targets")
        })
    }

    /// Where metrics and probes are served; `None` for nowhere.
    pub(crate) fn admin_address(&self) -> Result<Option<SocketAddr>, Error> {
        self.address(ADMIN, 9090)
    }

    /// Where a service listens itself; `None` when it is reached only through this process's edge.
    pub(crate) fn service_address(&self, entry: &Entry) -> Result<Option<SocketAddr>, Error> {
        if self.with_edge && !self.listen.contains_key(entry.name) {
            Ok(None)
        } else {
            self.address(entry.name, entry.port)
        }
    }

    /// Whether this process checks users' tokens, and so has to follow the authority.
    pub(crate) fn needs_authority(&self) -> Result<bool, StartError> {
        for (entry, _) in &self.services {
            let policies = entry.policies()?;
            if [Access::User, Access::OptionalUser].into_iter().any(|access| policies.any(access)) {
                return Ok(true);
            }
        }
        Ok(self.with_edge)
    }

    /// The effective settings, secrets masked.
    pub(crate) fn print(&self) -> Result<String, toml::ser::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            data_dir: &'a PathBuf,
            listen: &'a BTreeMap<String, String>,
            discovery: &'a link::Config,
            auth: &'a auth::Config,
            server: &'a guard::Config,
            shutdown: &'a shutdown::Config,
            telemetry: &'a telemetry::Config,
            edge: &'a malla_edge::Config,
            #[serde(flatten)]
            services: BTreeMap<&'a str, &'a toml::Value>,
        }
        toml::to_string(&Shown {
            data_dir: &self.data_dir,
            listen: &self.effective_listen(),
            discovery: &self.discovery,
            auth: &self.auth,
            server: &self.server,
            shutdown: &self.shutdown,
            telemetry: &self.telemetry,
            edge: &self.edge,
            services: self.services.iter().map(|(entry, plan)| (entry.name, &plan.config)).collect(),
        })
    }

    fn effective_listen(&self) -> BTreeMap<String, String> {
        let mut listen = self.listen.clone();
        listen.entry(EDGE.to_owned()).or_insert_with(|| "127.0.0.1:8000".to_owned());
        listen.entry(ADMIN.to_owned()).or_insert_with(|| "127.0.0.1:9090".to_owned());
        listen
    }

    fn address(&self, name: &str, port: u16) -> Result<Option<SocketAddr>, Error> {
        address(&self.listen, name, port)
    }

    fn check_limits(&self) -> Result<(), Error> {
        let guard::Config { calls_max, deadline_ms, connections_max } = self.server;
        let counts = [("calls_max", calls_max), ("connections_max", connections_max)];
        check_ranges("server", counts.map(|(key, count)| (key, count, 1..=1_000_000)))?;
        check_ranges("server", [("deadline_ms", deadline_ms, 1..=3_600_000)])?;
        check_shutdown(&self.shutdown)
    }

    fn check_names(&self) -> Result<(), Error> {
        let services: Vec<&str> = MODULES.iter().map(|module| module.name).collect();
        for name in self.listen.keys() {
            if name != EDGE && name != ADMIN && !services.contains(&name.as_str()) {
                return Err(Error::Unknown {
                    name: format!("listen.{name}"),
                    known: services.join(", ") + ", edge, admin",
                });
            }
            self.address(name, 8000)?;
        }
        match self.discovery.keys().find(|name| !services.contains(&name.as_str())) {
            Some(name) => Err(Error::Unknown { name: format!("discovery.{name}"), known: services.join(", ") }),
            None => Ok(()),
        }
    }

    /// The token everyone can read in the documentation must not guard what others can reach.
    fn refuse_development_token(&self) -> Result<(), Error> {
        if self.auth.operator_token.expose() != auth::DEVELOPMENT_OPERATOR_TOKEN {
            return Ok(());
        }
        let mut addresses = vec![];
        if self.with_edge {
            addresses.push(self.edge_address()?);
        }
        for (entry, _) in &self.services {
            addresses.extend(self.service_address(entry)?);
        }
        match addresses.into_iter().find(|address| !address.ip().is_loopback()) {
            None => Ok(()),
            Some(address) => Err(Error::invalid(
                "auth.operator_token",
                "the development default",
                format!("it must be a secret of your own when listening on {address}, which others can reach"),
            )),
        }
    }
}

/// The sections that the mesh knows.
pub(crate) fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.into_iter().chain(MODULES.iter().map(|module| module.name))
}

/// Where `[listen]` says that something listens; `None` for nowhere.
pub(crate) fn address(listen: &BTreeMap<String, String>, name: &str, port: u16) -> Result<Option<SocketAddr>, Error> {
    match listen.get(name).map(String::as_str) {
        None => Ok(Some(([127, 0, 0, 1], port).into())),
        Some(OFF) => Ok(None),
        Some(text) => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => {
                let off = if name == EDGE { "" } else { ", or off" };
                let expected = format!("it may be an IP address and a port, like 127.0.0.1:{port}{off}");
                Err(Error::invalid(format!("listen.{name}"), text, expected))
            }
        },
    }
}

pub(crate) fn check_shutdown(config: &shutdown::Config) -> Result<(), Error> {
    let shutdown::Config { notice_ms, drain_ms } = *config;
    check_ranges("shutdown", [("notice_ms", notice_ms, 0..=600_000), ("drain_ms", drain_ms, 0..=3_600_000)])
}

/// The services named, in starting order; all without targets.
fn select(targets: &[String]) -> Result<Vec<Entry>, Error> {
    for target in targets {
        if target != EDGE && !MODULES.iter().any(|module| module.name == target) {
            let known: Vec<&str> = MODULES.iter().map(|module| module.name).chain([EDGE]).collect();
            return Err(Error::invalid("target", target, format!("it may be one of {}", known.join(", "))));
        }
    }
    let wanted = |entry: &Entry| targets.is_empty() || targets.iter().any(|target| target == entry.name);
    Ok(MODULES.into_iter().filter(wanted).collect())
}

/// Whose address `--listen` is.
fn sole_listener(services: &[Entry], with_edge: bool, address: &str) -> Result<&'static str, Error> {
    match services {
        _ if with_edge => Ok(EDGE),
        [only] => Ok(only.name),
        _ => {
            let expected = "it needs one target that listens; set listen.<service> for several";
            Err(Error::invalid("--listen", address, expected))
        }
    }
}

/// The links a process with these targets needs that it cannot serve itself.
pub(crate) fn missing_links(process: &Process) -> Result<Vec<&'static str>, StartError> {
    let mut needed: Vec<&'static str> =
        process.services.iter().flat_map(|(entry, _)| entry.calls.iter().copied()).collect();
    if process.with_edge {
        needed.extend(MODULES.iter().map(|module| module.name));
    }
    if process.needs_authority()? {
        needed.push(AUTHORITY);
    }
    needed.sort_unstable();
    needed.dedup();
    let local = |name: &str| process.services.iter().any(|(entry, _)| entry.name == name);
    needed.retain(|name| !local(name) && !process.discovery.contains_key(*name));
    Ok(needed)
}
