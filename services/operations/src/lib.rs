//! Deferred calls: accepted from the edge, carried out when their service can, served as
//! `google.longrunning.Operations`.
//!
//! The store is the truth about a call; the doorbell (in process, or RabbitMQ) only says when to look. Knows no message
//! of the calls it keeps.

mod accept;
mod config;
mod doorbell;
mod error;
mod mesh;
mod metrics;
mod migrations;
mod service;
mod store;
mod worker;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::google::longrunning::operations_server::OperationsServer;
use malla_contracts::malla::operations::v1::operations_service_server::OperationsServiceServer;
use malla_runtime::module::{Context, Module, Probe, Running, StartError};
use malla_storage::database::{self, Clock, Store};
use malla_storage::sweeper;
use tokio::sync::Notify;
use tonic::service::Routes;

use doorbell::Doorbell;
use metrics::Metrics;
use worker::Worker;

pub use config::{Broker, Config};

/// The module of `google.longrunning.Operations`.
#[derive(Debug)]
pub struct Operations;

impl Module for Operations {
    const NAME: &'static str = "operations";
    const DESCRIPTORS: &'static [u8] = descriptors::OPERATIONS;
    const SERVICES: &'static [&'static str] =
        &["google.longrunning.Operations", "malla.operations.v1.OperationsService"];
    /// Those with methods that can be deferred.
    const CALLS: &'static [&'static str] = &["comments", "files", "search"];
    const PORT: u16 = 7110;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/health/operations",
        "curl {edge}/api/users/register -d 'username=olga&mail=olga@example.org&password=Later-is-1'",
        "curl {edge}/v1/operations \
            -H \"Authorization: Bearer $(curl -s {edge}/api/users/login \
            -d 'username=olga&password=Later-is-1' | grep -o 'eyJ[^\"]*')\"",
    ];
    type Config = Config;

    fn check(config: &Config) -> Result<(), malla_runtime::config::Error> {
        config.check()
    }

    async fn migrate(config: &Config, context: &Context) -> Result<String, StartError> {
        Ok(Store::open::<migrations::Migrator>(Self::NAME, &config.database, context).await?.place)
    }

    async fn start(config: Config, context: Context) -> Result<Running, StartError> {
        let store = Store::open::<migrations::Migrator>(Self::NAME, &config.database, &context).await?;
        let (place, probe) = (store.place.clone(), store.probe());
        let clock: Clock = Arc::new(database::now_ms);
        let calls = Arc::new(store::Calls::new(store, config.clone(), clock.clone()));
        let swept = calls.clone();
        let sweep = move || {
            let calls = swept.clone();
            async move { calls.sweep().await }
        };
        tokio::spawn(sweeper::run("operations", context.shutdown.clone(), sweep));
        let bell = doorbell(&config, &context).await?;
        let (promised, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let worker = Worker {
            calls: calls.clone(),
            bell: bell.clone(),
            mesh: Arc::new(mesh::Mesh::new(&context, config.attempt())?),
            promised: promised.clone(),
            ended: ended.clone(),
            clock,
            metrics: Metrics::default(),
            places: Arc::default(),
            shutdown: context.shutdown.clone(),
        };
        context.shutdown.spawn(Arc::new(worker).run());
        let accepting = accept::Accepting::new(calls.clone(), bell.clone(), promised);
        let service = service::Service::new(calls, ended, context.shutdown);
        let routes = Routes::new(OperationsServer::new(service)).add_service(OperationsServiceServer::new(accepting));
        Ok(Running { routes, store: place, probe: Some(both(probe, bell)) })
    }
}

async fn doorbell(config: &Config, context: &Context) -> Result<Arc<dyn Doorbell>, StartError> {
    let url = &config.broker.url;
    if url.is_empty() {
        return Ok(Arc::new(doorbell::local::Local::new()));
    }
    let address = doorbell::rabbit::address(url)?;
    Ok(Arc::new(doorbell::rabbit::Rabbit::connect(address, context.shutdown.clone()).await?))
}

/// Healthy when the store and the doorbell are.
fn both(store: Probe, bell: Arc<dyn Doorbell>) -> Probe {
    Box::new(move || {
        let (store, well) = (store(), bell.is_well());
        Box::pin(async move { store.await && well })
    })
}
