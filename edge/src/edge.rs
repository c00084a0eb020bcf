//! The edge as a tower service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use malla_runtime::auth::Authenticator;
use malla_runtime::policy::Access;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use crate::codec::Details;
use crate::config::Config;
use crate::health::Health;
use crate::limit::Limit;
use crate::load::{self, Backend, Binding, LoadError, Method};
use crate::own::Own;
use crate::pipeline;
use crate::record::Metrics;
use crate::route::table::Table;

/// What the edge says about itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Of the service as a whole: "malla".
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One line of the routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// The HTTP method; `*` for any.
    pub http_method: String,
    /// The path template.
    pub path: String,
    /// Query parameters without which it does not match.
    pub required_query: Vec<String>,
    /// `pkg.Service/Method`.
    pub rpc: String,
    /// Short name of the backend.
    pub backend: String,
    /// Who may call it.
    pub access: Access,
    /// HTTP status of a success.
    pub success_status: u16,
}

impl RouteRow {
    /// Whether anyone may call it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.access == Access::Anyone
    }
}

/// A transcoding edge in front of a set of gRPC backends; cheap to clone.
#[derive(Clone, Debug)]
pub struct Edge(Arc<Shared>);

/// What all requests share; nothing in it changes while serving but states and counters.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) about: About,
    pub(crate) table: Table<Binding>,
    pub(crate) methods: HashMap<String, Arc<Method>>,
    pub(crate) details: Details,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) limit: Limit,
    pub(crate) health: Health,
    pub(crate) own: Own,
    pub(crate) metrics: Metrics,
    pub(crate) closing: CancellationToken,
}

impl Edge {
    /// Builds the edge from its backends' descriptors.
    ///
    /// # Errors
    /// [`LoadError`] with all problems at once: templates and fields that do not fit, routes that clash.
    pub fn new(
        config: Config,
        backends: &[Backend],
        authenticator: Arc<Authenticator>,
        about: About,
    ) -> Result<Self, LoadError> {
        let loaded = load::load(&config, backends)?;
        let health = Health::new(backends);
        let own = Own::new(&health.registry, backends).map_err(|error| LoadError(vec![error.to_string()]))?;
        Ok(Self(Arc::new(Shared {
            limit: Limit::new(config.requests_max),
            table: loaded.table,
            methods: loaded.methods,
            details: loaded.details,
            metrics: Metrics::default(),
            closing: CancellationToken::new(),
            config,
            about,
            authenticator,
            health,
            own,
        })))
    }

    /// The routing table, ordered by path.
    pub fn routes(&self) -> impl Iterator<Item = RouteRow> {
        self.0.routes()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn health(&self) -> Health {
        self.0.health.clone()
    }

    /// Ends server streams: their clients may come back elsewhere, and nobody knows how long they would stay.
    pub(crate) fn close_streams(&self) {
        self.0.closing.cancel();
    }
}

impl Shared {
    pub(crate) fn routes(&self) -> impl Iterator<Item = RouteRow> {
        let row = |rule: &crate::route::table::Rule<Binding>| RouteRow {
            http_method: rule.http_method.clone(),
            path: rule.template.text.clone(),
            required_query: rule.required_query.clone(),
            rpc: rule.value.method.name().to_owned(),
            backend: rule.value.method.backend.clone(),
            access: rule.value.method.access,
            success_status: rule.value.success.as_u16(),
        };
        let mut rows: Vec<RouteRow> = self.table.rules().map(row).collect();
        rows.sort_by(|a, b| {
            (&a.path, &a.http_method, &a.required_query).cmp(&(&b.path, &b.http_method, &b.required_query))
        });
        rows.into_iter()
    }
}

impl<B> Service<Request<B>> for Edge
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.0.clone();
        let request = request.map(Body::new);
        Box::pin(async move { Ok(pipeline::handle(&shared, request).await) })
    }
}
