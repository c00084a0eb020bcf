//! Accounts, passwords, and the access tokens that all of the mesh accepts.
//!
//! Knows nothing of what users may do elsewhere: a token says who somebody is, each service decides what that allows.

mod accounts;
mod authority;
mod config;
mod error;
mod migrations;
mod passwords;
mod rules;
mod service;
mod store;
mod throttle;
mod tokens;
mod watch;

use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::malla::users::v1::users_service_server::UsersServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_storage::database::Store;
use malla_storage::keyed::Answers;
use tonic::service::Routes;

pub use authority::authority;
pub use config::Config;

/// The module of `malla.users.v1`.
#[derive(Debug)]
pub struct Users;

impl Module for Users {
    const NAME: &'static str = "users";
    const DESCRIPTORS: &'static [u8] = descriptors::USERS;
    const SERVICES: &'static [&'static str] = &["malla.users.v1.UsersService"];
    const PORT: u16 = 7107;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/v1/users -d 'username=ana&mail=ana@example.com&password=Paraguas-7'",
        "curl {edge}/v1/users:login -d 'username=ana&password=Paraguas-7'",
        "curl {edge}/.well-known/jwks.json",
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
        let database = store::Database::new(store);
        let tokens = Arc::new(tokens::Tokens::open(database.clone(), &context.auth, &config).await?);
        let accounts = accounts::Accounts::new(database, &config)?;
        let service = service::Service::new(accounts, tokens, context.shutdown);
        Ok(Running { routes: Routes::new(answers.around(UsersServiceServer::new(service))), store: place, probe })
    }
}
