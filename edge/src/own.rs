//! The gRPC services the edge answers itself: health and reflection, for all backends together.

use http::Request;
use malla_runtime::health::Registry;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};
use tower::ServiceExt as _;

use crate::encode::Answer;
use crate::grpc;
use crate::limit::{Limit, Permit};
use crate::load::{Backend, OWN_SERVICES};
use crate::rejection::Rejection;

/// Calls to these at the same time, watches included. Apart from the others' limit: an edge that is full must still
/// be able to say how it is.
const CALLS_MAX: usize = 1_000;

/// The edge's own services; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    routes: Routes,
    limit: Limit,
}

impl Own {
    /// Reflects the descriptors of all backends as they are, options and comments included.
    ///
    /// # Errors
    /// Descriptors that cannot be read.
    pub(crate) fn new(registry: &Registry, backends: &[Backend], limit: Limit) -> Result<Self, Error> {
        let builder = || {
            let names = backends.iter().flat_map(|backend| &backend.services).map(String::as_str).chain(OWN_SERVICES);
            let builder =
                Builder::configure().register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            let builder = backends
                .iter()
                .fold(builder, |builder, backend| builder.register_encoded_file_descriptor_set(&backend.descriptors));
            names.fold(builder, Builder::with_service_name)
        };
        let routes =
            Routes::new(registry.service()).add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?);
        Ok(Self { routes: routes.prepare(), limit })
    }

    /// The places for calls, the same ones whatever is reflected.
    pub(crate) fn limit() -> Limit {
        Limit::new(CALLS_MAX)
    }

    /// Whether a gRPC path is one of these.
    pub(crate) fn serves(path: &str) -> bool {
        let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        OWN_SERVICES.contains(&service)
    }

    /// Takes a place for a call.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub(crate) fn enter(&self) -> Result<Permit, Rejection> {
        self.limit.enter()
    }

    /// Answers a call; a watch lasts until the edge drains.
    pub(crate) async fn answer(&self, request: Request<Body>, closing: CancellationToken) -> Answer {
        let Ok(response) = self.routes.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: grpc::bounded(body, None, Some(closing)) }
    }
}
