//! Named message queues with leases and dead letters.
//!
//! Knows nothing of what the messages mean, nor of who pushed them: every logged-in user sees every queue.

mod config;
mod error;
mod migrations;
mod rules;
mod service;
mod store;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::malla::queue::v1::queue_service_server::QueueServiceServer;
use malla_runtime::database::{self, Store};
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_runtime::sweeper;
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
        "curl {edge}/api/users/register -d 'username=quique&mail=quique@example.org&password=Turn-of-1'",
        "curl {edge}/api/queue/push \
            -H \"Authorization: Bearer $(curl -s {edge}/api/users/login \
            -d 'username=quique&password=Turn-of-1' | grep -o 'eyJ[^\"]*')\" -H 'Content-Type: application/json' -d '[1]'",
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
        let swept = messages.clone();
        let sweep = move || {
            let messages = swept.clone();
            async move { messages.sweep().await }
        };
        tokio::spawn(sweeper::run("messages", context.shutdown.clone(), sweep));
        let service = service::Service::new(messages, context.shutdown);
        Ok(Running { routes: Routes::new(QueueServiceServer::new(service)), store: place, probe })
    }
}
