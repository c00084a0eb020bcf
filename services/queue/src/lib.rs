//! Named message queues with leases and dead letters.
//!
//! Knows nothing of what the messages mean, nor of who pushed them: every logged-in user sees every queue.

mod config;
mod error;
mod migrations;
mod rules;
mod service;
mod store;
mod sweeper;
mod tables;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::malla::queue::v1::queue_service_server::QueueServiceServer;
use malla_runtime::database::{self, Store};
use malla_runtime::module::{Context, Module, Running, StartError};
use tonic::service::Routes;

pub use config::Config;

/// The module of `malla.queue.v1`.
#[derive(Debug)]
pub struct Queue;

impl Module for Queue {
    const NAME: &'static str = "queue";
    const DESCRIPTORS: &'static [u8] = descriptors::QUEUE;
    const SERVICES: &'static [&'static str] = &["malla.queue.v1.QueueService"];
    const PORT: u16 = 7104;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/api/queue/health",
        "curl {edge}/api/queue/push -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '[1]'",
        "curl {edge}/api/queue/count -H \"Authorization: Bearer $TOKEN\"",
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
        let messages = Arc::new(store::Messages::new(store, config, Arc::new(database::now_ms)));
        tokio::spawn(sweeper::run(messages.clone(), context.shutdown.clone()));
        let service = service::Service::new(messages, context.shutdown);
        Ok(Running { routes: Routes::new(QueueServiceServer::new(service)), store: place, probe })
    }
}
