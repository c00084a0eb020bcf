//! Orders of beers: one open order for each user, and the closed ones.
//!
//! Knows neither passwords nor prices: whether an account exists it asks users, what a beer costs it asks beers.

mod basket;
mod config;
mod error;
mod migrations;
mod neighbours;
mod orders;
mod service;
mod store;

use malla_contracts::descriptors;
use malla_contracts::malla::orders::v1::orders_service_server::OrdersServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_storage::database::Store;
use malla_storage::keyed::Answers;
use tonic::service::Routes;

pub use config::Config;

/// The module of `malla.orders.v1`.
#[derive(Debug)]
pub struct Orders;

impl Module for Orders {
    const NAME: &'static str = "orders";
    const DESCRIPTORS: &'static [u8] = descriptors::ORDERS;
    const SERVICES: &'static [&'static str] = &["malla.orders.v1.OrdersService"];
    const CALLS: &'static [&'static str] = &["users", "beers"];
    const PORT: u16 = 7109;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/api/users/register -d 'username=ann&mail=ann@example.org&password=Malt-and-4-hops'",
        "curl -X PUT {edge}/api/orders/current \
            -H \"Authorization: Bearer $(curl -s {edge}/api/users/login \
            -d 'username=ann&password=Malt-and-4-hops' | grep -o 'eyJ[^\"]*')\" -d 'sku=123456&quantity=2'",
        "curl {edge}/api/orders/current \
            -H \"Authorization: Bearer $(curl -s {edge}/api/users/login \
            -d 'username=ann&password=Malt-and-4-hops' | grep -o 'eyJ[^\"]*')\"",
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
        let neighbours = neighbours::Neighbours::new(context.link("users")?, context.link("beers")?);
        let service = service::Service::new(orders::Orders::new(store::Book::new(store), neighbours));
        Ok(Running { routes: Routes::new(answers.around(OrdersServiceServer::new(service))), store: place, probe })
    }
}
