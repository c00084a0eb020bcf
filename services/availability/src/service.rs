//! `malla.availability.v1` in terms of the domain.

use malla_contracts::malla::availability::v1 as proto;
use malla_contracts::malla::availability::v1::availability_service_server::AvailabilityService;
use malla_runtime::{page, status};
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::rules::Place;
use crate::store::{Cities, City};

const PAGE_SIZE_MAX: u32 = 1_000;

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    cities: Cities,
}

impl Service {
    pub(crate) fn new(cities: Cities) -> Self {
        Self { cities }
    }
}

#[tonic::async_trait]
impl AvailabilityService for Service {
    async fn list_cities(
        &self,
        request: Request<proto::ListCitiesRequest>,
    ) -> Result<Response<proto::ListCitiesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let country_and_key =
            |key: &str| key.split_once('/').map(|(country, key)| (country.to_owned(), key.to_owned()));
        let after = page::parsed_key(&request.page_token, country_and_key)?;
        let mut cities = self.cities.list(request.include_inactive, after, size + 1).await?;
        let next_page_token = page::cut(&mut cities, size, |city| format!("{}/{}", city.country, city.key));
        let cities = cities.into_iter().map(city).collect();
        Ok(Response::new(proto::ListCitiesResponse { cities, next_page_token }))
    }

    async fn get_city(
        &self,
        request: Request<proto::GetCityRequest>,
    ) -> Result<Response<proto::GetCityResponse>, Status> {
        let request = request.into_inner();
        let place = Place::new(&request.country, &request.city).map_err(Error::from)?;
        let (City { active, country, city, .. }, cached) = self.cities.get(&place).await?;
        let cache = if cached { "hit" } else { "miss" }.to_owned();
        Ok(Response::new(proto::GetCityResponse { active, country, city, cache }))
    }

    async fn upsert_city(
        &self,
        request: Request<proto::UpsertCityRequest>,
    ) -> Result<Response<proto::UpsertCityResponse>, Status> {
        let request = request.into_inner();
        let place = Place::new(&request.country, &request.city).map_err(Error::from)?;
        let stored = self.cities.upsert(&place, required(request.active)?).await?;
        Ok(Response::new(proto::UpsertCityResponse { city: Some(city(stored)) }))
    }

    async fn update_city(
        &self,
        request: Request<proto::UpdateCityRequest>,
    ) -> Result<Response<proto::UpdateCityResponse>, Status> {
        let request = request.into_inner();
        let place = Place::new(&request.country, &request.city).map_err(Error::from)?;
        let stored = self.cities.update(&place, required(request.active)?).await?;
        Ok(Response::new(proto::UpdateCityResponse { city: Some(city(stored)) }))
    }
}

fn required(active: Option<bool>) -> Result<bool, Status> {
    active.ok_or_else(|| status::invalid("active", "must be given"))
}

fn city(City { active, country, city, .. }: City) -> proto::City {
    proto::City { active, country, city }
}

#[cfg(test)]
mod tests;
