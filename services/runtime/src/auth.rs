//! Who calls: access tokens, the operators' token, and the mesh's own.
//!
//! Tokens are checked wherever a call arrives, not only at the edge. Keys and revocations come from an
//! [`Authority`] as a stream; when that stream has been silent for longer than [`FRESH`], no token is accepted,
//! because nobody could say whether it was revoked.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::config::Secret;

mod authenticator;

pub use authenticator::Authenticator;

/// Carries the mesh's token from service to service. The edge drops it from clients' requests.
pub const MESH_TOKEN: HeaderName = HeaderName::from_static("malla-mesh-token");
/// Who a service calls for: `<sub>;<username>`. Believed only together with the mesh's token.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static("malla-on-behalf-of");
/// The metadata an idempotency key comes in, and by which a caller is to be known: keys are their caller's own.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The operators' token a fresh development setup comes with. Refused off loopback.
pub const DEVELOPMENT_OPERATOR_TOKEN: &str = "2234hj234h2kkjjh42kjj2b20asd6918";
/// Longest silence of the authority before tokens are refused.
pub const FRESH: Duration = Duration::from_secs(1);
/// `typ` of an access token (RFC 9068).
pub const TOKEN_TYPE: &str = "at+jwt";
/// Longer credentials are refused unread.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far clocks may differ.
const LEEWAY_S: u64 = 60;

/// Section `[auth]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What operators send as `Authorization: Bearer`. The default is for development on loopback only.
    pub operator_token: Secret,
    /// What services of the mesh prove themselves with to each other. Empty: kept in the data dir, made if missing.
    pub mesh_token: Secret,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            operator_token: Secret::new(DEVELOPMENT_OPERATOR_TOKEN),
            mesh_token: Secret::default(),
            issuer: "malla".into(),
            audience: "malla".into(),
        }
    }
}

/// The claims of an access token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The user's id.
    pub sub: String,
    /// The user's name.
    pub username: String,
    /// The token's id.
    pub jti: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

/// Who calls. Handlers find it in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular: the method is open to anyone, and there was no token, none that is valid, or no reason to look
    /// at it.
    Anonymous,
    /// A logged-in user.
    User(Claims),
    /// An operator of the mesh.
    Operator,
    /// Another service of the mesh.
    Service,
}

impl Claims {
    /// How long the token is accepted yet.
    #[must_use]
    pub fn left(&self) -> Duration {
        let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap_or(i64::MAX);
        let left = self.exp.saturating_add(LEEWAY_S.cast_signed()).saturating_sub(now);
        Duration::from_secs(u64::try_from(left).unwrap_or_default())
    }
}

impl Caller {
    /// The user of a call to a method for users.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the call was let through without a user: the method's policy is not ACCESS_USER.
    pub fn user<T>(request: &tonic::Request<T>) -> Result<Claims, Status> {
        match request.extensions().get::<Self>() {
            Some(Self::User(claims)) => Ok(claims.clone()),
            _ => Err(Status::unauthenticated("this call needs a user's access token")),
        }
    }
}

/// News about tokens, in order.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// All keys, when they are new; `None` when unchanged.
    pub keys: Option<JwkSet>,
    /// Ids of revoked tokens, with their expiry in seconds since 1970.
    pub revoked: Vec<(String, i64)>,
}

/// Where keys and revocations come from: the service that issues tokens.
pub trait Authority: Send + Sync {
    /// Begins a stream whose first item holds all keys and all revocations in force, and which is never silent for
    /// long: an empty change is a sign of life.
    fn watch(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<Change, Status>>, Status>>;
}

/// What the signature, the times and the parties of an access token have to be.
#[must_use]
pub fn validation(config: &Config) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = LEEWAY_S;
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&[&config.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

/// The token of an `Authorization: Bearer` header.
///
/// # Errors
/// UNAUTHENTICATED when there is none.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Status> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(Status::unauthenticated("this call needs credentials: Authorization: Bearer <token>")),
    }
}

/// The value of the [`MESH_TOKEN`] header.
///
/// # Errors
/// [`crate::config::Error::Invalid`] when the configured token cannot be sent in a header.
pub fn mesh_header(config: &Config) -> Result<HeaderValue, crate::config::Error> {
    let mut value = HeaderValue::from_str(config.mesh_token.expose())
        .map_err(|_| crate::config::Error::invalid("auth.mesh_token", "***", "it may be visible ASCII characters"))?;
    value.set_sensitive(true);
    Ok(value)
}
