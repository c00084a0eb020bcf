//! The catalogue of beers, by SKU.
//!
//! Knows nothing of orders: they ask here for a beer and its present price, and keep what they were told.

mod config;
mod error;
mod migrations;
mod rules;
mod service;
mod store;

use malla_contracts::descriptors;
use malla_contracts::malla::beers::v1::beers_service_server::BeersServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_storage::database::Store;
use malla_storage::keyed::Answers;
use tonic::service::Routes;

pub use config::Config;

/// The module of `malla.beers.v1`.
#[derive(Debug)]
pub struct Beers;

impl Module for Beers {
    const NAME: &'static str = "beers";
    const DESCRIPTORS: &'static [u8] = descriptors::BEERS;
    const SERVICES: &'static [&'static str] = &["malla.beers.v1.BeersService"];
    const PORT: u16 = 7108;
    const EXAMPLES: [&'static str; 3] =
        ["curl '{edge}/v1/beers?page_size=2'", "curl {edge}/v1/beers/123456", "curl {edge}/api/beers/"];
    type Config = Config;

    fn check(config: &Config) -> Result<(), malla_runtime::config::Error> {
        config.check()
    }

    async fn migrate(config: &Config, context: &Context) -> Result<String, StartError> {
        Ok(Store::open::<migrations::Migrator>(Self::NAME, &config.database, context).await?.place)
    }

    async fn start(config: Config, context: Context) -> Result<Running, StartError> {
        let store = Store::open::<migrations::Migrator>(Self::NAME, &config.database, &context).await?;
        let answers = Answers::of::<Self>(&store, &context)?;
        let (place, probe) = (store.place.clone(), Some(store.probe()));
        let service = service::Service::new(store::Catalogue::new(store));
        Ok(Running { routes: Routes::new(answers.around(BeersServiceServer::new(service))), store: place, probe })
    }
}
