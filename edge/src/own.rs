//! The gRPC services the edge answers itself: health and reflection, for all backends together.

use http::Request;
use malla_runtime::health::Registry;
use prost::DecodeError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_reflection::pb::v1::server_reflection_server::ServerReflectionServer;
use tower::ServiceExt as _;

use crate::call::bounded::bounded;
use crate::call::expired;
use crate::encode::Answer;
use crate::limit::Limit;
use crate::load::Backend;
use crate::rejection::Rejection;
use reflection::Reflection;

mod reflection;

/// Calls and pages at the same time, and as many streams. Apart from the others' limit: an edge that is full must still be
/// able to say how it is.
const CALLS_MAX: usize = 1_000;

/// A method of one of these services.
#[derive(Debug)]
pub(crate) struct Method {
    /// Its path; for logs and metrics, which get no names that clients make up.
    pub(crate) path: &'static str,
    pub(crate) streams: bool,
}

/// What there is. The last of each service stands for what it has not.
static METHODS: [Method; 7] = [
    Method { path: "/grpc.health.v1.Health/Check", streams: false },
    Method { path: "/grpc.health.v1.Health/Watch", streams: true },
    Method { path: "/grpc.health.v1.Health/_OTHER", streams: false },
    Method { path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", streams: true },
    Method { path: "/grpc.reflection.v1.ServerReflection/_OTHER", streams: false },
    Method { path: "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", streams: true },
    Method { path: "/grpc.reflection.v1alpha.ServerReflection/_OTHER", streams: false },
];

impl Method {
    /// The method of a gRPC path; `None` where it is of none of these services.
    pub(crate) fn find(path: &str) -> Option<&'static Self> {
        let service = path.rsplit_once('/')?.0;
        let mut of_service =
            METHODS.iter().filter(|method| method.path.rsplit_once('/').is_some_and(|own| own.0 == service));
        let other = of_service.next_back()?;
        Some(of_service.find(|method| method.path == path).unwrap_or(other))
    }
}

/// Places for them, the same ones whatever is reflected; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// For calls that are answered at once, and for pages: streams that stay cannot take these.
    checks: Limit,
    streams: Limit,
}

impl Default for Places {
    fn default() -> Self {
        Self { checks: Limit::new(CALLS_MAX), streams: Limit::new(CALLS_MAX) }
    }
}

impl Places {
    /// Those for a method.
    pub(crate) fn of(&self, method: &Method) -> &Limit {
        if method.streams { &self.streams } else { &self.checks }
    }

    /// Those for pages.
    pub(crate) fn of_pages(&self) -> &Limit {
        &self.checks
    }
}

/// The edge's own services; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Own(Routes);

impl Own {
    /// Reflects the descriptors of all backends as they are, options and comments included, or nothing.
    ///
    /// # Errors
    /// Descriptors that cannot be read.
    pub(crate) fn new(registry: &Registry, backends: &[Backend], reflects: bool) -> Result<Self, DecodeError> {
        let mut routes = Routes::new(registry.service());
        if reflects {
            routes = routes.add_service(ServerReflectionServer::new(Reflection::new(backends)?));
        }
        Ok(Self(routes.prepare()))
    }

    /// Answers a call; a stream lasts until its deadline, or until the edge drains.
    ///
    /// # Errors
    /// DEADLINE_EXCEEDED when the request did not come whole by then.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        deadline: Instant,
        closing: CancellationToken,
    ) -> Result<Answer, Rejection> {
        let answering = tokio::time::timeout_at(deadline, self.0.clone().oneshot(as_v1(request))).await;
        let Ok(response) = answering.map_err(|_| Rejection::new(expired()))?;
        let (parts, body) = response.into_parts();
        let body = bounded(body, deadline, Some(closing));
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// The versions of reflection have the same messages under other names, so one service answers both.
fn as_v1(mut request: Request<Body>) -> Request<Body> {
    let method = request.uri().path().strip_prefix("/grpc.reflection.v1alpha.");
    if let Some(path) = method.and_then(|method| format!("/grpc.reflection.v1.{method}").parse().ok()) {
        *request.uri_mut() = path;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::OWN_SERVICES;

    #[test]
    fn what_clients_make_up_names_nothing() {
        for (path, expected) in [
            ("/grpc.health.v1.Health/Check", Some("/grpc.health.v1.Health/Check")),
            ("/grpc.health.v1.Health/Watch", Some("/grpc.health.v1.Health/Watch")),
            ("/grpc.health.v1.Health/x9f3", Some("/grpc.health.v1.Health/_OTHER")),
            ("/grpc.health.v1.Health/", Some("/grpc.health.v1.Health/_OTHER")),
            ("/grpc.reflection.v1.ServerReflection/x", Some("/grpc.reflection.v1.ServerReflection/_OTHER")),
            ("/grpc.health.v1.Health", None),
            ("/grpc.health.v1.Health/Check/x", None),
            ("/test.v1.EchoService/Get", None),
        ] {
            assert_eq!(Method::find(path).map(|method| method.path), expected, "{path}");
        }
        for service in OWN_SERVICES {
            assert!(Method::find(&format!("/{service}/x")).is_some(), "{service}");
        }
    }
}
