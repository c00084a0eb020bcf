//! An availability service in which sales are open in every city but a few.

use malla_contracts::malla::availability::v1 as proto;
use malla_contracts::malla::availability::v1::availability_service_server::{
    AvailabilityService, AvailabilityServiceServer,
};
use malla_runtime::link::Link;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(super) fn link() -> Link {
    Link::alone("availability", Routes::new(AvailabilityServiceServer::new(Availability)))
}

struct Availability;

#[tonic::async_trait]
impl AvailabilityService for Availability {
    async fn get_city(
        &self,
        request: Request<proto::GetCityRequest>,
    ) -> Result<Response<proto::GetCityResponse>, Status> {
        let proto::GetCityRequest { country, city } = request.into_inner();
        match &*city {
            "Nowhere" => Err(Status::not_found("unknown")),
            "Down" => Err(Status::unavailable("down")),
            "Odd" => Err(Status::permission_denied("no mesh token")),
            _ => {
                let active = city != "Closed";
                Ok(Response::new(proto::GetCityResponse { active, country, city, cache: String::new() }))
            }
        }
    }

    async fn list_cities(
        &self,
        _: Request<proto::ListCitiesRequest>,
    ) -> Result<Response<proto::ListCitiesResponse>, Status> {
        Err(Status::unimplemented("not asked for by pricing"))
    }

    async fn upsert_city(
        &self,
        _: Request<proto::UpsertCityRequest>,
    ) -> Result<Response<proto::UpsertCityResponse>, Status> {
        Err(Status::unimplemented("not asked for by pricing"))
    }

    async fn update_city(
        &self,
        _: Request<proto::UpdateCityRequest>,
    ) -> Result<Response<proto::UpdateCityResponse>, Status> {
        Err(Status::unimplemented("not asked for by pricing"))
    }
}
