//! The edge as a tower service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use malla_runtime::auth::Authenticator;
use malla_runtime::health::Registry;
use malla_runtime::policy::Access;
use malla_runtime::shutdown::Shutdown;
use malla_transcode::percent::Keep;
use malla_transcode::rule;
use malla_transcode::table::{Rule, Table};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use crate::buffered::Budget;
use crate::builder::Builder;
use crate::call::retry;
use crate::changes::Changes;
use crate::config::Config;
use crate::defer::Deferral;
use crate::errors::Writer;
use crate::health::Health;
use crate::limit::Limit;
use crate::load::{self, Backend, Binding, LoadError, Method};
use crate::openapi::Openapi;
use crate::own::{Own, Places};
use crate::pipeline;
use crate::record::Metrics;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

/// What the edge says about itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Of the service as a whole: "malla". Default "API".
    pub name: String,
    /// Its version. Default "0".
    pub version: String,
}

impl Default for About {
    fn default() -> Self {
        Self { name: "API".to_owned(), version: "0".to_owned() }
    }
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

/// A transcoding edge in front of a set of gRPC backends; cheap to clone, all clones are one.
///
/// It is a tower service that never fails and is always ready: what goes wrong is an answer. It limits itself
/// ([`Config`]); a server it is mounted in has to limit connections, headers and their times, as [`serve`](crate::serve)
/// does. It needs a Tokio runtime.
///
/// hyper ends a body in good order when a client of HTTP/2 resets its request with NO_ERROR, so that in someone else's
/// server such an upload passes for whole. [`serve`](crate::serve) tells them apart; no client that is known to us does it.
#[derive(Clone, Debug)]
pub struct Edge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fixed: Arc<Fixed>,
    /// Taken once by each request, which ends on what it began with.
    shared: ArcSwap<Shared>,
    /// What `shared` was built from; locked while it is built anew.
    backends: Mutex<Vec<Backend>>,
}

/// What stays while the edge lives, whatever becomes of its backends.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) config: Config,
    /// What `config.rules` name, read.
    rules: rule::Config,
    pub(crate) about: About,
    /// Who keeps calls for later.
    pub(crate) deferral: Option<Arc<dyn Deferral>>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) limit: Limit,
    pub(crate) buffered: Budget,
    /// For what the edge answers itself.
    pub(crate) own_places: Places,
    retries: retry::Budgets,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) closing: CancellationToken,
}

/// What all requests share: what stays, and what is made of the backends, which is replaced as a whole. Nothing in it
/// changes while serving but states and counters.
#[derive(Debug)]
pub(crate) struct Shared {
    fixed: Arc<Fixed>,
    pub(crate) table: Table<Binding>,
    pub(crate) methods: HashMap<String, Arc<Method>>,
    pub(crate) left_out: Vec<String>,
    /// See [`Edge::check_settings`].
    unmatched: Vec<String>,
    /// Whether it is known what all backends serve.
    is_whole: bool,
    /// Which escapes path variables keep.
    pub(crate) keep: Keep,
    /// Writes errors of no route.
    pub(crate) errors: Arc<Writer>,
    pub(crate) own: Own,
    pub(crate) openapi: Openapi,
}

impl Deref for Shared {
    type Target = Fixed;

    fn deref(&self) -> &Fixed {
        &self.fixed
    }
}

impl Edge {
    /// Begins an edge, with defaults and no backends.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// See [`Builder::build`].
    pub(crate) fn new(
        config: Config,
        backends: &[Backend],
        authenticator: Arc<Authenticator>,
        about: About,
        deferral: Option<Arc<dyn Deferral>>,
    ) -> Result<Self, LoadError> {
        let fixed = Arc::new(Fixed {
            rules: load::rules(&config.rules)?,
            limit: Limit::new(config.requests_max),
            buffered: Budget::new(config.buffered_bytes_max),
            own_places: Places::default(),
            retries: retry::budgets(backends),
            health: Health::new(backends),
            metrics: Metrics::default(),
            closing: CancellationToken::new(),
            config,
            about,
            authenticator,
            deferral,
        });
        let shared = ArcSwap::from_pointee(Shared::load(&fixed, backends)?);
        let edge = Self(Arc::new(Inner { fixed, shared, backends: Mutex::new(backends.into()) }));
        edge.check_settings()?;
        Ok(edge)
    }

    /// Whether all settings are for something that there is; as long as it is not known what all backends serve, nobody
    /// can tell. For when an edge starts: later it is the backends that have changed, and [`Self::replace`] only warns.
    ///
    /// # Errors
    /// Settings of routes that are not there.
    pub fn check_settings(&self) -> Result<(), LoadError> {
        let unmatched = &self.0.shared.load().unmatched;
        if unmatched.is_empty() { Ok(()) } else { Err(LoadError(unmatched.clone())) }
    }

    /// Puts a backend in the place of the one of the same name, whose services may be others now. All is built beside
    /// what serves, compared with it, and then takes its place at once; requests in flight end on what they began with.
    /// It computes for as long as there are descriptors: not for a thread that others wait for. Settings of routes that are
    /// not there any more are told in the log: this backend must not be refused for what another has no more.
    ///
    /// # Errors
    /// As [`Builder::build`], but for those settings, and for a name the edge was not built with; then nothing has changed.
    pub fn replace(&self, backend: Backend) -> Result<Changes, LoadError> {
        let mut backends = self.0.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = backends.clone();
        let Some(at) = next.iter().position(|known| known.name == backend.name) else {
            return Err(LoadError(vec![format!("{}: is no backend of this edge", backend.name)]));
        };
        // Who is known for the first time comes last: what others serve already they go on serving.
        let at = if next.remove(at).services.is_empty() { next.len() } else { at };
        next.insert(at, backend.clone());
        let before = self.0.shared.load_full();
        let shared = Shared::load(&self.0.fixed, &next)?;
        if !shared.unmatched.is_empty() && shared.unmatched != before.unmatched {
            tracing::warn!(settings = shared.unmatched.join("; "), "settings are for nothing that there is");
        }
        let changes = Changes::between(&before, &shared);
        self.0.shared.store(Arc::new(shared));
        self.0.fixed.health.serves(&backend.name, &backend.services);
        *backends = next;
        Ok(changes)
    }

    /// The routing table, ordered by path.
    pub fn routes(&self) -> impl Iterator<Item = RouteRow> {
        self.0.shared.load().routes()
    }

    /// The states of the backends and their services, and, under the empty name, of all together.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.0.fixed.health.registry.clone()
    }

    /// Follows the health of the backends, for `/health` and `grpc.health.v1`, until the process ends; when it is told to
    /// stop, the edge is NOT_SERVING. To be spawned where the edge is mounted in someone's own server; until then no
    /// backend counts as healthy, which keeps no call from it. [`serve`](crate::serve) does this itself.
    pub async fn follow_health(self, shutdown: Shutdown) {
        self.health().follow(shutdown).await;
    }

    /// Ends server streams and WebSockets, with UNAVAILABLE: nobody knows how long they would stay, and their clients may
    /// come back elsewhere. For the shutdown of the server the edge is mounted in; [`serve`](crate::serve) does this itself.
    pub fn close_streams(&self) {
        self.0.fixed.closing.cancel();
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.fixed.config
    }

    /// The longest that any answer may be on its way.
    pub(crate) fn longest_answer(&self) -> Duration {
        let shared = self.0.shared.load();
        let deadlines = shared.methods.values().map(|method| method.deadline);
        deadlines.fold(self.config().deadline(true), Duration::max) + self.config().answer_timeout()
    }

    pub(crate) fn health(&self) -> Health {
        self.0.fixed.health.clone()
    }
}

impl Shared {
    fn load(fixed: &Arc<Fixed>, backends: &[Backend]) -> Result<Self, LoadError> {
        let loaded = load::load(&fixed.config, &fixed.rules, &fixed.retries, backends)?;
        let own = Own::new(&fixed.health.registry, backends, fixed.config.reflection.serve);
        let is_whole = backends.iter().all(|backend| !backend.services.is_empty());
        Ok(Self {
            fixed: fixed.clone(),
            table: loaded.table,
            methods: loaded.methods,
            left_out: loaded.left_out,
            unmatched: if is_whole { loaded.unmatched } else { Vec::new() },
            is_whole,
            keep: loaded.keep,
            errors: loaded.errors,
            own: own.map_err(|error| LoadError(vec![error.to_string()]))?,
            openapi: Openapi::default(),
        })
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = RouteRow> + use<> {
        let row = |rule: &Rule<Binding>| RouteRow {
            http_method: rule.http_method.clone(),
            path: rule.template.text.clone(),
            required_query: rule.required_query.clone(),
            rpc: rule.value.method.name().to_owned(),
            backend: rule.value.method.backend.clone(),
            access: rule.value.method.access,
            success_status: rule.value.success.as_u16(),
        };
        let mut rows: Vec<RouteRow> = self.table.rules().iter().map(row).collect();
        rows.sort_by(|a, b| {
            (&a.path, &a.http_method, &a.required_query).cmp(&(&b.path, &b.http_method, &b.required_query))
        });
        rows.into_iter()
    }

    /// Why what was asked for is not there: as `refusal` says, unless a backend has yet to say what it has.
    pub(crate) fn missing(&self, refusal: Rejection) -> Rejection {
        if self.is_whole || !matches!(refusal.status.code(), Code::NotFound | Code::Unimplemented) {
            return refusal;
        }
        self.health.waiting().map_or(refusal, |reason| Rejection::overloaded(&reason))
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
        let shared = self.0.shared.load_full();
        // An error's source may be the reason of a reset, which hyper would pass on to the backend: after one with CANCEL
        // tonic's servers take a request for whole.
        let request = request.map(|body| {
            Body::new(body.map_err(|error| {
                tracing::debug!(error = %error.into(), "a request broke off");
                Status::aborted("the client broke the request off")
            }))
        });
        Box::pin(async move { Ok(pipeline::handle(&shared, request).await) })
    }
}
