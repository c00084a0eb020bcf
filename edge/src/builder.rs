//! How an edge is put together, by the mesh and by anyone else.

use std::sync::Arc;

use malla_runtime::auth::{self, Authenticator};
use malla_runtime::config::{self, Secret};

use crate::config::Config;
use crate::defer::Deferral;
use crate::edge::{About, Edge};
use crate::load::{Backend, LoadError};
use crate::report::Report;

/// An edge in the making: [`Edge::builder`]. Only backends are needed.
#[derive(Debug, Default)]
#[must_use = "nothing is served before it is built"]
pub struct Builder {
    config: Config,
    about: About,
    backends: Vec<Backend>,
    authenticator: Option<Arc<Authenticator>>,
    deferral: Option<Arc<dyn Deferral>>,
}

/// What keeps an edge from being built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// Backends cannot be served as they are.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Builder {
    /// Its settings: limits, timeouts, how JSON and errors are written. Default [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// What it says of itself on its own pages and in the OpenAPI document. Default: an API without a name, version 0.
    pub fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    /// One more backend. The names of all differ.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backends.push(backend);
        self
    }

    /// Who checks tokens, for methods that declare in their options (`malla.options.v1`) who may call them. Default nobody:
    /// then methods that declare nothing are open, `Authorization` being passed on to their backend, and those that
    /// want a caller who is known are refused.
    pub fn authenticator(mut self, authenticator: Arc<Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Who keeps calls for later, of methods that declare themselves deferrable. Default nobody: no call is deferred.
    pub fn deferral(mut self, deferral: Arc<dyn Deferral>) -> Self {
        self.deferral = Some(deferral);
        self
    }

    /// Checks everything and builds the edge. A backend without services is not known yet: until it is
    /// [replaced](Edge::replace), what is not found gets 503.
    ///
    /// # Errors
    /// The first setting that cannot be used; or all problems of the backends at once: templates and fields that do not
    /// fit, routes that clash.
    pub fn build(self) -> Result<Edge, BuildError> {
        self.config.check()?;
        let nobody = || {
            let config = auth::Config { operator_token: Secret::default(), ..auth::Config::default() };
            Arc::new(Authenticator::new(&config))
        };
        let authenticator = self.authenticator.unwrap_or_else(nobody);
        Ok(Edge::new(self.config, &self.backends, authenticator, self.about, self.deferral)?)
    }

    /// Says what such an edge would serve and everything that is wrong with it, instead of building it.
    ///
    /// # Errors
    /// The first setting that cannot be used, and files of rules that cannot be read.
    pub fn check(self) -> Result<Report, BuildError> {
        self.config.check()?;
        Ok(Report::new(self.config, &self.backends)?)
    }
}
