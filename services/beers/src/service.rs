//! `malla.beers.v1` in terms of the domain.

use malla_contracts::malla::beers::v1 as proto;
use malla_contracts::malla::beers::v1::beers_service_server::BeersService;
use malla_runtime::{decimal, page};
use malla_storage::database::timestamp;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::rules::{self, Fields};
use crate::store::{Beer, Catalogue};

const PAGE_SIZE_MAX: u32 = 1_000;

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    catalogue: Catalogue,
}

impl Service {
    pub(crate) fn new(catalogue: Catalogue) -> Self {
        Self { catalogue }
    }
}

#[tonic::async_trait]
impl BeersService for Service {
    async fn list_beers(
        &self,
        request: Request<proto::ListBeersRequest>,
    ) -> Result<Response<proto::ListBeersResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let after = page::key(&request.page_token)?;
        let mut beers = self.catalogue.list(after.as_deref(), size + 1).await?;
        let next_page_token = page::cut(&mut beers, size, |beer| beer.sku.clone());
        let beers = beers.into_iter().map(beer).collect();
        Ok(Response::new(proto::ListBeersResponse { beers, next_page_token }))
    }

    async fn get_beer(
        &self,
        request: Request<proto::GetBeerRequest>,
    ) -> Result<Response<proto::GetBeerResponse>, Status> {
        let found = self.catalogue.get(&request.into_inner().sku).await?;
        Ok(Response::new(proto::GetBeerResponse { beer: Some(beer(found)) }))
    }

    async fn create_beer(
        &self,
        request: Request<proto::CreateBeerRequest>,
    ) -> Result<Response<proto::CreateBeerResponse>, Status> {
        let proto::CreateBeerRequest { sku, name, price, image } = request.into_inner();
        rules::sku(&sku).map_err(Error::from)?;
        let fields = Fields::new(Some(name), Some(&price), Some(image)).map_err(Error::from)?;
        let stored = self.catalogue.create(&sku, fields).await?;
        Ok(Response::new(proto::CreateBeerResponse { beer: Some(beer(stored)) }))
    }

    async fn update_beer(
        &self,
        request: Request<proto::UpdateBeerRequest>,
    ) -> Result<Response<proto::UpdateBeerResponse>, Status> {
        let proto::UpdateBeerRequest { sku, name, price, image } = request.into_inner();
        let fields = Fields::new(name, price.as_deref(), image).map_err(Error::from)?;
        let stored = self.catalogue.update(&sku, fields).await?;
        Ok(Response::new(proto::UpdateBeerResponse { beer: Some(beer(stored)) }))
    }

    async fn delete_beer(
        &self,
        request: Request<proto::DeleteBeerRequest>,
    ) -> Result<Response<proto::DeleteBeerResponse>, Status> {
        self.catalogue.delete(&request.into_inner().sku).await?;
        Ok(Response::new(proto::DeleteBeerResponse {}))
    }
}

fn beer(Beer { id, sku, name, price_minor, image, created_ms, modified_ms }: Beer) -> proto::Beer {
    let price = decimal::format(price_minor);
    let (time_created, time_modified) = (Some(timestamp(created_ms)), Some(timestamp(modified_ms)));
    proto::Beer { id, name, sku, price, image, time_created, time_modified }
}

#[cfg(test)]
mod tests;
