//! What a service is to the process that runs it: a name, a contract, a section of the config, and a start.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::service::Routes;

use crate::auth::Authenticator;
use crate::config::{self, Settings};
use crate::guard::Guard;
use crate::health::{Registry, State};
use crate::link::Links;
use crate::policy::Policies;
use crate::shutdown::Shutdown;
use crate::{auth, guard};

const PROBE_INTERVAL: Duration = Duration::from_secs(2);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a module did not start; its text names the cause and what to do.
pub type StartError = Box<dyn Error + Send + Sync>;

/// What a module gets from its process.
#[derive(Clone, Debug)]
pub struct Context {
    /// Folder for the module's own files. Exists.
    pub data_dir: PathBuf,
    /// Links to other services, to be called as a service of the mesh.
    pub links: Links,
    /// Section `[auth]`.
    pub auth: auth::Config,
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Ends streams when the process drains.
    pub shutdown: Shutdown,
}

impl Context {
    /// A context without other services: for migrations, and for tests of stores.
    #[must_use]
    pub fn alone(data_dir: PathBuf) -> Self {
        let auth = auth::Config::default();
        let authenticator = Arc::new(Authenticator::new(&auth));
        Self { data_dir, links: Links::default(), auth, authenticator, shutdown: Shutdown::default() }
    }

    /// The link to another service, for calls made as a service.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] when its address is not known.
    pub fn link(&self, name: &str) -> Result<crate::link::Link, config::Error> {
        Ok(self.links.get(name)?.as_service(&auth::mesh_header(&self.auth)?))
    }
}

/// Tells whether what a module stands on still works.
pub type Probe = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// A started module.
pub struct Running {
    /// Its gRPC services.
    pub routes: Routes,
    /// Where its data is, for people: `sqlite data/orders.db`.
    pub store: String,
    /// Asked again and again for the module's health; `None` is always healthy.
    pub probe: Option<Probe>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Running({})", self.store)
    }
}

/// A service of the mesh.
pub trait Module: 'static {
    /// Its short name: a section of the config, a target of `malla run`.
    const NAME: &'static str;
    /// Bytes of the descriptor set of its contract.
    const DESCRIPTORS: &'static [u8];
    /// Full names of the gRPC services it serves.
    const SERVICES: &'static [&'static str];
    /// Short names of the services it calls.
    const CALLS: &'static [&'static str] = &[];
    /// The port it listens on when it has one of its own and none is set.
    const PORT: u16;
    /// Three calls to try, as arguments of curl against the edge (`{edge}` is its address).
    const EXAMPLES: [&'static str; 3];
    /// Section `[NAME]`.
    type Config: Default + Serialize + DeserializeOwned + Send + Sync;

    /// Checks what types cannot: ranges, combinations.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] for the first value that cannot be used.
    fn check(config: &Self::Config) -> Result<(), config::Error>;

    /// Brings the module's store up to date and tells where it is. Modules without a store do nothing.
    fn migrate(config: &Self::Config, context: &Context) -> impl Future<Output = Result<String, StartError>> + Send;

    /// Opens the store and makes the routes.
    fn start(config: Self::Config, context: Context) -> impl Future<Output = Result<Running, StartError>> + Send;
}

/// A module without its types, as an entry of the launcher's list.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its short name.
    pub name: &'static str,
    /// Bytes of the descriptor set of its contract.
    pub descriptors: &'static [u8],
    /// Full names of the gRPC services it serves.
    pub services: &'static [&'static str],
    /// Short names of the services it calls.
    pub calls: &'static [&'static str],
    /// The port of its own.
    pub port: u16,
    /// Three calls to try.
    pub examples: [&'static str; 3],
    plan: fn(&Settings) -> Result<Plan, config::Error>,
}

impl Entry {
    /// The entry of a module.
    #[must_use]
    pub const fn of<M: Module>() -> Self {
        Self {
            name: M::NAME,
            descriptors: M::DESCRIPTORS,
            services: M::SERVICES,
            calls: M::CALLS,
            port: M::PORT,
            examples: M::EXAMPLES,
            plan: plan::<M>,
        }
    }

    /// Reads and checks the module's section.
    ///
    /// # Errors
    /// [`config::Error`] naming the first key that cannot be used.
    pub fn plan(&self, settings: &Settings) -> Result<Plan, config::Error> {
        (self.plan)(settings)
    }

    /// The policies of its methods.
    ///
    /// # Errors
    /// When the descriptor bytes cannot be read: a fault of the build.
    pub fn policies(&self) -> Result<Policies, StartError> {
        let own: Vec<String> = self.services.iter().map(|&name| name.to_owned()).collect();
        Ok(Policies::read(self.descriptors)?.of_services(&own))
    }
}

type Migrate = Box<dyn for<'a> Fn(&'a Context) -> BoxFuture<'a, Result<String, StartError>> + Send + Sync>;
type Start = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Running, StartError>> + Send>;

/// A module whose config has been read, ready to start.
pub struct Plan {
    /// The effective config, secrets masked.
    pub config: toml::Value,
    /// Brings the store up to date.
    pub migrate: Migrate,
    start: Start,
}

fn plan<M: Module>(settings: &Settings) -> Result<Plan, config::Error> {
    let read = || settings.section::<M::Config>(M::NAME);
    let config = read()?;
    M::check(&config)?;
    let shown = toml::Value::try_from(&config)
        .map_err(|error| config::Error::invalid(M::NAME, error, "the section must be printable"))?;
    let for_migration = Arc::new(read()?);
    Ok(Plan {
        config: shown,
        migrate: Box::new(move |context| {
            let config = for_migration.clone();
            Box::pin(async move { M::migrate(&config, context).await })
        }),
        start: Box::new(move |context| Box::pin(M::start(config, context))),
    })
}

/// A module that serves.
#[derive(Debug)]
pub struct Started {
    /// Its routes, with health and reflection, behind the guard.
    pub guard: Guard,
    /// Where its data is, for people.
    pub store: String,
    /// The states of its services.
    pub health: Registry,
}

impl Plan {
    /// Starts the module and connects local links to it: routes with `grpc.health.v1` and reflection (v1 and
    /// v1alpha), all behind one guard. It is SERVING from then on, unless its probe fails or the process drains.
    ///
    /// # Errors
    /// What the module could not open or reach.
    pub async fn start(self, entry: &Entry, context: &Context, config: &guard::Config) -> Result<Started, StartError> {
        let policies = entry.policies()?;
        let Running { routes, store, probe } = (self.start)(context.clone()).await?;
        let health = Registry::default();
        let routes = routes
            .add_service(health.service())
            .add_service(reflection(entry)?.build_v1()?)
            .add_service(reflection(entry)?.build_v1alpha()?);
        let guard = Guard::new(routes, policies, context.authenticator.clone(), config);
        context.links.started(entry.name, guard.clone());
        set_all(entry.services, &health, State::Serving);
        tokio::spawn(keep_health(entry.services, health.clone(), probe, context.shutdown.clone()));
        Ok(Started { guard, store, health })
    }
}

fn reflection(entry: &Entry) -> Result<tonic_reflection::server::Builder<'static>, StartError> {
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(entry.descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    for service in entry.services.iter().copied().chain(["grpc.health.v1.Health"]) {
        builder = builder.with_service_name(service);
    }
    Ok(builder)
}

fn set_all(services: &[&str], health: &Registry, state: State) {
    for name in services.iter().copied().chain([""]) {
        health.set(name, state);
    }
}

async fn keep_health(services: &[&str], health: Registry, probe: Option<Probe>, shutdown: Shutdown) {
    let watch = async {
        let Some(probe) = probe else { return std::future::pending().await };
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            let well = tokio::time::timeout(PROBE_TIMEOUT, probe()).await == Ok(true);
            let state = if well { State::Serving } else { State::NotServing };
            set_all(services, &health, state);
        }
    };
    tokio::select! {
        () = watch => {}
        () = shutdown.unready() => set_all(services, &health, State::NotServing),
    }
    shutdown.draining().await;
    health.close();
}

#[cfg(test)]
mod tests;
