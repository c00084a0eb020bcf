//! What is asked of other services: accounts of users, beers and prices of beers.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use malla_contracts::malla::beers::v1::GetBeerRequest;
use malla_contracts::malla::beers::v1::beers_service_client::BeersServiceClient;
use malla_contracts::malla::users::v1::GetUserRequest;
use malla_contracts::malla::users::v1::users_service_client::UsersServiceClient;
use malla_runtime::decimal;
use malla_runtime::link::Link;
use malla_runtime::status::shown;
use tonic::Code;

use crate::error::Error;

/// Prices asked for at the same time by one checkout.
const PRICES_IN_FLIGHT_MAX: usize = 16;

/// A beer as the catalogue has it now.
#[derive(Clone, Debug)]
pub(crate) struct Beer {
    pub(crate) id: String,
    pub(crate) sku: String,
    pub(crate) price_minor: i64,
}

/// The services that are asked.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    users: UsersServiceClient<Link>,
    beers: BeersServiceClient<Link>,
}

impl Neighbours {
    pub(crate) fn new(users: Link, beers: Link) -> Self {
        Self { users: UsersServiceClient::new(users), beers: BeersServiceClient::new(beers) }
    }

    /// Fails unless the account still exists: a token outlives the account it was issued for.
    pub(crate) async fn check_account(&self, id: &str) -> Result<(), Error> {
        match self.users.clone().get_user(GetUserRequest { id: id.to_owned() }).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Err(Error::NoAccount),
            Err(status) => Err(Error::Neighbour { service: "users", status }),
        }
    }

    /// A beer by its SKU.
    pub(crate) async fn beer(&self, sku: &str) -> Result<Beer, Error> {
        let answer = match self.beers.clone().get_beer(GetBeerRequest { sku: sku.to_owned() }).await {
            Ok(answer) => answer.into_inner().beer.unwrap_or_default(),
            Err(status) if status.code() == Code::NotFound => return Err(Error::UnknownBeer(shown(sku))),
            Err(status) => return Err(Error::Neighbour { service: "beers", status }),
        };
        let price_minor = decimal::parse(&answer.price)
            .map_err(|error| Error::BadAnswer { service: "beers", answer: format!("price of {sku:?}: {error}") })?;
        Ok(Beer { id: answer.id, sku: sku.to_owned(), price_minor })
    }

    /// The present unit prices, in minor units, of all these beers by SKU.
    pub(crate) async fn prices(&self, skus: Vec<String>) -> Result<HashMap<String, i64>, Error> {
        let price = async |sku: String| match self.beer(&sku).await {
            Ok(beer) => Ok((sku, beer.price_minor)),
            Err(Error::UnknownBeer(sku)) => Err(Error::BeerGone(sku)),
            Err(error) => Err(error),
        };
        stream::iter(skus).map(price).buffer_unordered(PRICES_IN_FLIGHT_MAX).try_collect().await
    }
}
