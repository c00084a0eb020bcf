//! Where sales are open: cities, and whether products may be sold there.
//!
//! Knows nothing of products or prices; pricing asks here before it quotes.

mod config;
mod error;
mod migrations;
mod rules;
mod service;
mod store;

use malla_contracts::descriptors;
use malla_contracts::malla::availability::v1::availability_service_server::AvailabilityServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_storage::database::Store;
use malla_storage::keyed::Answers;
use tonic::service::Routes;

pub use config::Config;

/// The module of `malla.availability.v1`.
#[derive(Debug)]
pub struct Availability;

impl Module for Availability {
    const NAME: &'static str = "availability";
    const DESCRIPTORS: &'static [u8] = descriptors::AVAILABILITY;
    const SERVICES: &'static [&'static str] = &["malla.availability.v1.AvailabilityService"];
    const PORT: u16 = 7101;
    const EXAMPLES: [&'static str; 3] = [
        "curl '{edge}/v1/cities?include_inactive=true'",
        "curl '{edge}/active?city=leon&country=ni'",
        "curl {edge}/v1/countries/es/cities/madrid",
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
        let answers = Answers::of::<Self>(&store, &context)?;
        let (place, probe) = (store.place.clone(), Some(store.probe()));
        let service = service::Service::new(store::Cities::new(store, &config)?);
        Ok(Running {
            routes: Routes::new(answers.around(AvailabilityServiceServer::new(service))),
            store: place,
            probe,
        })
    }
}
