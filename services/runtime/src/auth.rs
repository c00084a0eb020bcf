//! Who calls: access tokens, the operators' token, and the mesh's own.
//!
//! Tokens are checked wherever a call arrives, not only at the edge. Keys and revocations come from an
//! [`Authority`] as a stream; when that stream has been silent for longer than [`FRESH`], no token is accepted,
//! because nobody could say whether it was revoked.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tonic::Status;

use crate::config::Secret;
use crate::policy::Access;
use crate::status::unavailable;

/// Carries the mesh's token from service to service. The edge drops it from clients' requests.
pub const MESH_TOKEN: HeaderName = HeaderName::from_static("malla-mesh-token");
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
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

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
    /// Nobody in particular: the method is open to anyone, and credentials were not looked at.
    Anonymous,
    /// A logged-in user.
    User(Claims),
    /// An operator of the mesh.
    Operator,
    /// Another service of the mesh.
    Service,
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

/// Checks the credentials of calls.
#[derive(Debug)]
pub struct Authenticator {
    validation: Validation,
    operator_token: Secret,
    mesh_token: Secret,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    revoked: HashMap<String, i64>,
    heard: Option<Instant>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} keys, {} revoked", self.keys.len(), self.revoked.len())
    }
}

impl Authenticator {
    /// An authenticator that knows no keys yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            validation: validation(config),
            operator_token: config.operator_token.clone(),
            mesh_token: config.mesh_token.clone(),
            known: RwLock::default(),
        }
    }

    /// Tells who calls, or why the call is refused.
    ///
    /// # Errors
    /// UNAUTHENTICATED without credentials or with wrong ones, PERMISSION_DENIED with good ones of the wrong kind,
    /// UNAVAILABLE when it cannot be known whether a token was revoked.
    pub fn authenticate(&self, headers: &HeaderMap, access: Access) -> Result<Caller, Status> {
        match access {
            Access::Anyone => Ok(Caller::Anonymous),
            Access::User => self.user(bearer(headers)?).map(Caller::User),
            Access::Operator => {
                let token = bearer(headers)?;
                if same(token, self.operator_token.expose()) {
                    return Ok(Caller::Operator);
                }
                match self.user(token) {
                    Ok(_) => Err(Status::permission_denied("this call is for operators")),
                    Err(_) => Err(Status::unauthenticated("this is not the operators' token")),
                }
            }
            Access::Service => match headers.get(MESH_TOKEN).and_then(|token| token.to_str().ok()) {
                Some(token) if same(token, self.mesh_token.expose()) => Ok(Caller::Service),
                _ => Err(Status::permission_denied("this call is for services of the mesh")),
            },
        }
    }

    /// Whose a token is.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn user(&self, token: &str) -> Result<Claims, Status> {
        let refuse = || Status::unauthenticated("the access token is not valid");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refuse());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| refuse())?;
        let (Some(kid), Some(TOKEN_TYPE)) = (&header.kid, header.typ.as_deref()) else {
            return Err(refuse());
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.heard.is_none_or(|heard| heard.elapsed() > FRESH) {
            return Err(unavailable("it cannot be known at the moment whether the access token was revoked", FRESH));
        }
        let key = known.keys.get(kid).ok_or_else(refuse)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| refuse())?.claims;
        if known.revoked.contains_key(&claims.jti) {
            return Err(Status::unauthenticated("the access token was revoked"));
        }
        Ok(claims)
    }

    /// Follows an authority for as long as the process lives, coming back whenever the stream ends.
    pub async fn follow(self: Arc<Self>, authority: Arc<dyn Authority>) {
        let mut retry = RETRY_MIN;
        loop {
            let cause = match authority.watch().await {
                Ok(stream) => {
                    retry = RETRY_MIN;
                    self.listen(stream).await
                }
                Err(status) => status,
            };
            tracing::debug!(error = %cause.message(), "the stream of keys and revocations ended; asking again");
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(RETRY_MAX);
        }
    }

    /// Waits until keys and revocations have been heard of; at most `limit`.
    pub async fn ready(&self, limit: Duration) {
        const LOOK: Duration = Duration::from_millis(5);
        let known = || self.known.read().unwrap_or_else(PoisonError::into_inner).heard.is_some();
        let _ = tokio::time::timeout(limit, async {
            while !known() {
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
    }

    async fn listen(&self, mut stream: BoxStream<'static, Result<Change, Status>>) -> Status {
        let mut first = true;
        loop {
            match tokio::time::timeout(FRESH, stream.next()).await {
                Ok(Some(Ok(change))) => self.learn(change, std::mem::take(&mut first)),
                Ok(Some(Err(status))) => return status,
                Ok(None) => return Status::unavailable("the stream ended"),
                Err(_) => return Status::unavailable("the stream fell silent"),
            }
        }
    }

    fn learn(&self, change: Change, all: bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = change.keys {
            known.keys = keys.keys.iter().filter_map(decoding_key).collect();
        }
        if all || !change.revoked.is_empty() {
            let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap_or(i64::MAX);
            if all {
                known.revoked.clear();
            }
            known.revoked.retain(|_, expiry| *expiry + LEEWAY_S.cast_signed() >= now);
            known.revoked.extend(change.revoked);
        }
        known.heard = Some(Instant::now());
    }
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

fn decoding_key(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?))
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

/// Compares secrets in a time that tells nothing about either. An empty expectation fits nothing.
fn same(given: &str, expected: &str) -> bool {
    use aws_lc_rs::{constant_time, digest};
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    !expected.is_empty()
        && constant_time::verify_slices_are_equal(hash(given).as_ref(), hash(expected).as_ref()).is_ok()
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
