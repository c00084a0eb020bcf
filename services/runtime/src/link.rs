//! Links to other services of the mesh: in this process without a socket, or over HTTP/2.
//!
//! Both kinds look the same to a generated client. Discovery is a map in the config: a module of this process is
//! local, any other needs an address.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt as _};

use crate::auth::{self, Authenticator, MESH_TOKEN};
use crate::call::Call;
use crate::guard::{self, Guard};
use crate::policy::Policies;
use crate::{config, telemetry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// h2 closes a connection whose window fills with tiny unread messages; half of this is what it lets pass.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Section `[discovery]`: the address of each service that is not in this process, `http://host:port`.
pub type Config = BTreeMap<String, String>;

/// A way to call one service; cheap to clone.
#[derive(Clone)]
pub struct Link {
    name: Arc<str>,
    mesh_token: Option<HeaderValue>,
    target: Target,
}

#[derive(Clone)]
enum Target {
    /// Set once the module has started: modules may link to each other in a circle.
    Local(Arc<OnceLock<Guard>>),
    Remote(Channel),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Link({})", self.name)
    }
}

impl Link {
    /// A link to routes of this process.
    #[must_use]
    pub fn local(name: &str, routes: Guard) -> Self {
        Self { name: name.into(), mesh_token: None, target: Target::Local(Arc::new(OnceLock::from(routes))) }
    }

    /// A link to routes that anyone may call, for tests of what calls them.
    #[must_use]
    pub fn alone(name: &str, routes: Routes) -> Self {
        let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
        Self::local(name, Guard::new(routes, Policies::default(), authenticator, &guard::Config::default()))
    }

    /// A link to another process. It connects on first use and again whenever the connection is lost.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] when the address is no `http://host:port`.
    pub fn remote(name: &str, address: &str) -> Result<Self, config::Error> {
        let refuse = || config::Error::invalid(format!("discovery.{name}"), address, "it may be http://host:port");
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| refuse())?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err(refuse());
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Self { name: name.into(), mesh_token: None, target: Target::Remote(channel) })
    }

    /// The same link for calls a service makes as itself: they carry the mesh's token.
    #[must_use]
    pub fn as_service(mut self, token: &HeaderValue) -> Self {
        self.mesh_token = Some(token.clone());
        self
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    /// Always ready: readiness of the connection is awaited by each call, under that call's deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let headers = request.headers_mut();
        Call::pass_on(headers);
        telemetry::inject(headers);
        if let Some(token) = &self.mesh_token {
            headers.insert(MESH_TOKEN, token.clone());
        }
        let name = self.name.clone();
        match self.target.clone() {
            Target::Local(routes) => Box::pin(async move {
                let Some(routes) = routes.get() else {
                    return Err(Status::unavailable(format!("{name} has not started yet")));
                };
                let Ok(response) = routes.clone().call(request).await;
                Ok(response)
            }),
            Target::Remote(channel) => Box::pin(async move {
                channel.oneshot(request).await.map_err(|error| {
                    tracing::debug!(service = %name, %error, "a call could not be carried out");
                    if timed_out(&error) {
                        return Status::deadline_exceeded(format!("{name} did not answer before the deadline"));
                    }
                    Status::unavailable(format!("{name} cannot be reached"))
                })
            }),
        }
    }
}

/// Whether it was the channel's own timer, set from `grpc-timeout`, that ended a call.
fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// All links of a process, by service name.
#[derive(Clone, Debug, Default)]
pub struct Links(HashMap<String, Link>);

impl Links {
    /// Makes a link for each local module and each address of the config; local wins.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] for an address that is none.
    pub fn new(local: &[&str], config: &Config) -> Result<Self, config::Error> {
        let mut links = Self::default();
        for (name, address) in config {
            links.0.insert(name.clone(), Link::remote(name, address)?);
        }
        for name in local {
            let link = Link { name: (*name).into(), mesh_token: None, target: Target::Local(Arc::default()) };
            links.0.insert((*name).to_owned(), link);
        }
        Ok(links)
    }

    /// The link to a service.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] naming the key to set when the service is neither here nor in the config.
    pub fn get(&self, name: &str) -> Result<Link, config::Error> {
        self.0.get(name).cloned().ok_or_else(|| {
            config::Error::missing(
                format!("discovery.{name}"),
                format!("{name} is not run by this process, so its address is needed, like http://127.0.0.1:7101"),
            )
        })
    }

    /// Connects a local module's links to its routes.
    pub fn started(&self, name: &str, routes: Guard) {
        if let Some(Target::Local(slot)) = self.0.get(name).map(|link| &link.target) {
            assert!(slot.set(routes).is_ok(), "a module starts once");
        }
    }
}
