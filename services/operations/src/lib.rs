//! Deferred calls, served as `google.longrunning.Operations`.
//!
//! Keeps what became of a call; neither accepts calls nor carries them out.

mod config;
mod error;
mod migrations;
mod service;
mod store;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::google::longrunning::operations_server::OperationsServer;
use malla_runtime::database::{self, Store};
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_runtime::sweeper;
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
        let (place, probe) = (store.place.clone(), Some(store.probe()));
        let calls = Arc::new(store::Calls::new(store, config.retention_ms, Arc::new(database::now_ms)));
        let swept = calls.clone();
        let sweep = move || {
            let calls = swept.clone();
            async move { calls.sweep().await }
        };
        tokio::spawn(sweeper::run("operations", context.shutdown.clone(), sweep));
        let service = service::Service::new(calls, context.shutdown);
        Ok(Running { routes: Routes::new(OperationsServer::new(service)), store: place, probe })
    }
}
