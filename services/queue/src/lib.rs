//! Named message queues with leases and dead letters.
//!
//! Knows nothing of what the messages mean, nor of who pushed them: every logged-in user sees every queue.

mod bells;
mod config;
mod error;
mod migrations;
mod rules;
mod service;
mod store;
mod subscription;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::malla::queue::v1::queue_service_server::QueueServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_runtime::places::Places;
use malla_storage::database::{self, Store};
use malla_storage::keyed::Answers;
use malla_storage::sweeper;
use tonic::service::Routes;

use store::{Messages, Redis, Sql};

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
        if config.redis.connection().is_set() {
            return Ok("redis (nothing to migrate)".to_owned());
        }
        Ok(Store::open::<migrations::Migrator>(Self::NAME, &config.database, context).await?.place)
    }

    async fn start(config: Config, context: Context) -> Result<Running, StartError> {
        let places = Places::new(config.subscribers_max, config.subscribers_per_user_max);
        let (messages, place, probe, answers): (Arc<dyn Messages>, _, _, _) = if config.redis.connection().is_set() {
            let fail = |error| format!("the Redis of queue.redis.url cannot be used: {error}");
            let redis = Redis::open(config, None).await.map_err(fail)?;
            let place = format!("redis (by redis.url, {})", redis.durability().name());
            let probe = redis.probe();
            (Arc::new(redis), place, probe, None)
        } else {
            let store = Store::open::<migrations::Migrator>(Self::NAME, &config.database, &context).await?;
            let answers = Answers::of::<Self>(&store, &context)?;
            let (place, probe) = (store.place.clone(), store.probe());
            (Arc::new(Sql::new(store, config, Arc::new(database::now_ms))), place, probe, Some(answers))
        };
        let swept = messages.clone();
        let sweep = move || {
            let messages = swept.clone();
            async move { messages.sweep().await }
        };
        tokio::spawn(sweeper::run("messages", context.shutdown.clone(), sweep));
        let service = QueueServiceServer::new(service::Service::new(messages, places, context.shutdown));
        let routes = match answers {
            Some(answers) => Routes::new(answers.around(service)),
            None => Routes::new(service),
        };
        Ok(Running { routes, store: place, probe: Some(probe) })
    }
}
