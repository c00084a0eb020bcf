//! Links to other services of the mesh: in this process without a socket, or over HTTP/2.
//!
//! Both kinds look the same to a generated client. Discovery is a map in the config: a module of this process is
//! local, any other needs an address, or several, among which calls are balanced.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use malla_balancer::Balancer;
pub use malla_balancer::{AddressError, Addresses, Tls, TlsError, TlsFiles};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use crate::auth::{self, Authenticator, MESH_TOKEN};
use crate::call::{self, Call};
use crate::guard::{self, Guard};
use crate::policy::Policies;
use crate::{config, telemetry};

/// Section `[discovery]`: where each service is that is not in this process: `http://host:port`, or several of them,
/// or `https`.
pub type Config = BTreeMap<String, Addresses>;

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
    Remote(Balancer),
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

    /// A link to routes that anyone may call: those of a stranger, or of a test.
    #[must_use]
    pub fn alone(name: &str, routes: Routes) -> Self {
        let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
        Self::local(name, Guard::new(routes, Policies::default(), authenticator, &guard::Config::default()))
    }

    /// A link to other processes, one or several that serve the same. It connects on first use and again whenever a
    /// connection is lost. It lives on the runtime it is made on, which has to be entered. `https` addresses have to have
    /// certificates of the machine's authorities.
    #[must_use]
    pub fn remote(name: &str, addresses: &Addresses) -> Self {
        Self::secured(name, addresses, None)
    }

    /// The same with whom to trust where addresses are `https`.
    #[must_use]
    pub fn secured(name: &str, addresses: &Addresses, tls: Option<Tls>) -> Self {
        Self { name: name.into(), mesh_token: None, target: Target::Remote(Balancer::new(name, addresses, tls)) }
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
                    return Err(
                        malla_balancer::Error::Unreached("its module has not started".into()).into_status(&name)
                    );
                };
                let Ok(response) = routes.clone().call(request).await;
                Ok(response)
            }),
            Target::Remote(balancer) => Box::pin(async move {
                let timeout = call::timeout(request.headers());
                balancer.call(request, timeout).await.map_err(|error| {
                    tracing::debug!(service = %name, %error, "a call could not be carried out");
                    error.into_status(&name)
                })
            }),
        }
    }
}

/// Whether a failed call certainly never reached its service: nobody has seen it, and it may be made again or later.
#[must_use]
pub fn is_unreached(status: &Status) -> bool {
    let cause = status.source().and_then(|cause| cause.downcast_ref::<malla_balancer::Error>());
    matches!(cause, Some(malla_balancer::Error::Unreached(_)))
}

/// Whether the way to a service failed, and not the service: whether it has seen the call is not known. UNAVAILABLE, but
/// for calls that were reset. What a service answers itself has no source.
#[must_use]
pub fn is_lost(status: &Status) -> bool {
    status.source().is_some()
}

/// All links of a process, by service name.
#[derive(Clone, Debug, Default)]
pub struct Links(HashMap<String, Link>);

impl Links {
    /// Makes a link for each local module and each address of the config; local wins.
    #[must_use]
    pub fn new(local: &[&str], config: &Config) -> Self {
        let remote = config.iter().filter(|(name, _)| !local.contains(&name.as_str()));
        let mut links: HashMap<String, Link> =
            remote.map(|(name, addresses)| (name.clone(), Link::remote(name, addresses))).collect();
        for name in local {
            let link = Link { name: (*name).into(), mesh_token: None, target: Target::Local(Arc::default()) };
            links.insert((*name).to_owned(), link);
        }
        Self(links)
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
