//! Products, their prices, and quotes that follow the weather.
//!
//! Where sales are open it does not know: it asks availability before it quotes.

mod breaker;
mod config;
mod error;
mod migrations;
mod quotes;
mod rules;
mod service;
mod store;
mod weather;

use malla_contracts::descriptors;
use malla_contracts::malla::pricing::v1::pricing_service_server::PricingServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_storage::database::Store;
use malla_storage::keyed::Answers;
use tonic::service::Routes;

pub use config::Config;
pub use weather::Config as WeatherConfig;

/// The module of `malla.pricing.v1`.
#[derive(Debug)]
pub struct Pricing;

impl Module for Pricing {
    const NAME: &'static str = "pricing";
    const DESCRIPTORS: &'static [u8] = descriptors::PRICING;
    const SERVICES: &'static [&'static str] = &["malla.pricing.v1.PricingService"];
    const CALLS: &'static [&'static str] = &["availability"];
    const PORT: u16 = 7102;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/price/AZ00001",
        "curl {edge}/v1/products/AZ00001/rules",
        "curl {edge}/quote -d 'sku=AZ00001&country=ni&city=Leon'",
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
        let weather = weather::Weather::new(&config.weather)?;
        let quotes = quotes::Quotes::new(store::Products::new(store), context.link("availability")?, weather, &config)?;
        let service = service::Service::new(quotes);
        Ok(Running { routes: Routes::new(answers.around(PricingServiceServer::new(service))), store: place, probe })
    }
}
