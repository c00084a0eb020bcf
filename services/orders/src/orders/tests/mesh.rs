//! A users service that knows everyone but `ghost`, and a beers service whose shelf the test fills and empties.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use malla_contracts::malla::beers::v1::{Beer, GetBeerRequest, GetBeerResponse};
use malla_contracts::malla::users::v1::{GetUserRequest, GetUserResponse};
use malla_runtime::link::Link;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::neighbours::Neighbours;

/// Prices by SKU; no shelf at all is a service that is down.
pub(crate) type Shelf = Arc<Mutex<Option<HashMap<String, String>>>>;

pub(crate) fn shelf(prices: &[(&str, &str)]) -> Shelf {
    let prices = prices.iter().map(|(sku, price)| ((*sku).to_owned(), (*price).to_owned()));
    Arc::new(Mutex::new(Some(prices.collect())))
}

pub(crate) fn neighbours(shelf: &Shelf) -> Neighbours {
    let shelf = shelf.clone();
    let beers = Beers(Arc::new(move |request| {
        let shelf = shelf.lock().expect("no panic");
        let shelf = shelf.as_ref().ok_or_else(|| Status::unavailable("down"))?;
        let price = shelf.get(&request.sku).cloned().ok_or_else(|| Status::not_found("unknown"))?;
        let beer = Beer { id: format!("id-{}", request.sku), price, ..Beer::default() };
        Ok(GetBeerResponse { beer: Some(beer) })
    }));
    let users = Users(Arc::new(|request| match &*request.id {
        "ghost" => Err(Status::not_found("unknown")),
        _ => Ok(GetUserResponse::default()),
    }));
    Neighbours::new(Link::alone("users", Routes::new(users)), Link::alone("beers", Routes::new(beers)))
}

/// A gRPC service that has one method and answers it, whatever the path, by a function.
macro_rules! service {
    ($name:ident, $full_name:literal, $request:ty, $response:ty) => {
        #[derive(Clone)]
        struct $name(Arc<dyn Fn(&$request) -> Result<$response, Status> + Send + Sync>);

        impl NamedService for $name {
            const NAME: &'static str = $full_name;
        }

        impl UnaryService<$request> for $name {
            type Response = $response;
            type Future = Ready<Result<Response<$response>, Status>>;

            fn call(&mut self, request: Request<$request>) -> Self::Future {
                ready((self.0)(request.get_ref()).map(Response::new))
            }
        }

        impl Service<http::Request<Body>> for $name {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<Self::Response, Infallible>;

            fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                let service = self.clone();
                Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(service, request).await) })
            }
        }
    };
}

service!(Users, "malla.users.v1.UsersService", GetUserRequest, GetUserResponse);
service!(Beers, "malla.beers.v1.BeersService", GetBeerRequest, GetBeerResponse);
