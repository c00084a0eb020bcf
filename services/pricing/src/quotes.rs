//! The steps of a quote: product, place, weather, rules. Knows no proto of its own and no SQL.

use std::time::Duration;

use malla_contracts::malla::availability::v1::GetCityRequest;
use malla_contracts::malla::availability::v1::availability_service_client::AvailabilityServiceClient;
use malla_runtime::link::Link;
use malla_storage::cache::Cache;
use malla_storage::redis;
use tonic::Code;

use crate::config::Config;
use crate::error::Error;
use crate::rules::{self, Place, Product};
use crate::store::Products;
use crate::weather::{self, Weather};

/// The price of a product in a city now.
#[derive(Debug)]
pub(crate) struct Quote {
    pub(crate) product: Product,
    pub(crate) variation_milli: i32,
    pub(crate) weather_known: bool,
    /// Whether the weather came from the cache.
    pub(crate) cached: bool,
}

/// Products, and what is needed to quote them.
#[derive(Debug)]
pub(crate) struct Quotes {
    pub(crate) products: Products,
    availability: AvailabilityServiceClient<Link>,
    weather: Weather,
    /// Weather conditions by SKU, country and city. Product, rules and whether sales are open are looked up for every
    /// quote, so no write leaves a wrong one behind.
    cache: Cache<Vec<i32>>,
}

impl Quotes {
    pub(crate) fn new(
        products: Products,
        availability: Link,
        weather: Weather,
        config: &Config,
    ) -> Result<Self, redis::Error> {
        let ttl = Duration::from_millis(config.cache_ttl_ms);
        let cache = Cache::new("weather", config.cache_entries_max, ttl, &config.redis)?;
        Ok(Self { products, availability: AvailabilityServiceClient::new(availability), weather, cache })
    }

    /// Forgets all quotes of this process: whoever changed a product or a rule sees a fresh one.
    pub(crate) fn forget(&self) {
        self.cache.forget_local();
    }

    pub(crate) async fn quote(&self, sku: &str, place: &Place) -> Result<Quote, Error> {
        let product = self.products.get(sku).await?;
        self.check_open(place).await?;
        let name = format!("{}/{}:{}/{}", place.country, place.key.len(), place.key, product.sku);
        // Of simultaneous quotes one asks the provider and the others wait for it; a failure is not kept.
        let (conditions, cached) =
            match self.cache.get(&name, self.weather.conditions(&place.country, &place.city)).await {
                Ok((conditions, cached)) => (Some(conditions), cached),
                Err(error) => {
                    note(&error);
                    (None, false)
                }
            };
        let variation_milli = match &conditions {
            Some(conditions) => {
                let rules = self.products.rules_at(sku, place).await?;
                let rules = rules.iter().map(|rule| (rule.variation_milli, rule.min_condition, rule.max_condition));
                rules::applied(rules, conditions)
            }
            None => rules::UNCHANGED_MILLI,
        };
        Ok(Quote { product, variation_milli, weather_known: conditions.is_some(), cached })
    }

    /// Fails unless sales are open in a place.
    async fn check_open(&self, place: &Place) -> Result<(), Error> {
        let (country, city) = (place.country.clone(), place.city.clone());
        let request = GetCityRequest { country: country.clone(), city: city.clone() };
        match self.availability.clone().get_city(request).await {
            Ok(answer) if answer.get_ref().active => Ok(()),
            Ok(_) => Err(Error::Closed { country, city }),
            Err(status) if status.code() == Code::NotFound => Err(Error::UnknownCity { country, city }),
            Err(status) => Err(Error::Availability(status)),
        }
    }
}

/// A provider that is unset or left alone is not news.
fn note(error: &weather::Error) {
    match error {
        weather::Error::Unset | weather::Error::Open => tracing::debug!(%error, "a quote is made without the weather"),
        _ => tracing::warn!(%error, "a quote is made without the weather"),
    }
}
