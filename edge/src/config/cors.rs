//! Section `[edge.cors]`: which pages of other origins may read answers (Fetch standard, 3.3).

use malla_runtime::config::Error;
use serde::{Deserialize, Serialize};

/// Off without origins. The methods are those a path has; cookies are never asked for, for no call takes any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins, such as `https://app.example`; `*` for all. Default none.
    pub origins: Vec<String>,
    /// Headers a page may send, in addition to those that it always may. Default: those that calls have a use for.
    pub headers: Vec<String>,
    /// Headers of answers a page may read, in addition to those that it always may. Default: those that answers have.
    pub exposed_headers: Vec<String>,
    /// How long a browser may remember what it was told, in seconds: 0 to 86400. Default 600.
    pub max_age_s: u32,
}

impl Default for Cors {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            origins: Vec::new(),
            headers: list(&[
                "Accept",
                "Authorization",
                "Content-Encoding",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "Last-Event-ID",
                "Prefer",
                "X-Request-Id",
            ]),
            exposed_headers: list(&[
                "ETag",
                "Idempotency-Key",
                "Link",
                "Location",
                "Retry-After",
                "WWW-Authenticate",
                "X-Request-Id",
            ]),
            max_age_s: 600,
        }
    }
}

impl Cors {
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_origin = |origin: &&String| {
            let authority = origin.split_once("://").map(|(scheme, authority)| (scheme.is_empty(), authority));
            *origin == "*" || authority.is_some_and(|(bare, rest)| !bare && !rest.is_empty() && !rest.contains('/'))
        };
        if let Some(origin) = self.origins.iter().find(|origin| !is_origin(origin)) {
            let expected = "it may be a scheme, a host and its port, as in https://app.example, or *";
            return Err(Error::invalid("edge.cors.origins", origin, expected));
        }
        for (key, names) in [("headers", &self.headers), ("exposed_headers", &self.exposed_headers)] {
            if let Some(name) = names.iter().find(|name| http::HeaderName::try_from(name.as_str()).is_err()) {
                return Err(Error::invalid(format!("edge.cors.{key}"), name, "it is no name of a header"));
            }
        }
        Ok(())
    }

    /// Whether pages of an origin may read answers.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    }
}
