//! Deferred calls, served as `google.longrunning.Operations`.
//!
//! Keeps what became of a call; neither accepts calls nor carries them out.

mod config;
mod error;
mod migrations;
mod service;
mod store;
mod sweeper;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::google::longrunning::operations_server::OperationsServer;
use malla_runtime::database::{self, Store};
use malla_runtime::module::{Context, Module, Running, StartError};
use tonic::service::Routes;

pub use config::Config;

/// The module of `google.longrunning.Operations`.
#[derive(Debug)]
pub struct Operations;

impl Module for Operations {
    const NAME: &'static str = "operations";
    const DESCRIPTORS: &'static [u8] = descriptors::OPERATIONS;
    const SERVICES: &'static [&'static str] = &["google.longrunning.Operations"];
    const PORT: u16 = 7110;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/health/operations",
        "curl {edge}/v1/operations -H \"Authorization: Bearer $TOKEN\"",
        "curl '{edge}/v1/operations?page_size=10' -H \"Authorization: Bearer $TOKEN\"",
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
        let (place, probe) = (store.place.clone(), Some(store.probe()));
        let calls = Arc::new(store::Calls::new(store, config.retention_ms, Arc::new(database::now_ms)));
        tokio::spawn(sweeper::run(calls.clone(), context.shutdown.clone()));
        let service = service::Service::new(calls, context.shutdown);
        Ok(Running { routes: Routes::new(OperationsServer::new(service)), store: place, probe })
    }
}
