//! The check itself: credentials against what the authority said.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderMap, header};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{
    Authority, Caller, Change, Claims, Config, FRESH, IDEMPOTENCY_KEY, LEEWAY_S, MESH_TOKEN, ON_BEHALF_OF,
    TOKEN_BYTES_MAX, TOKEN_TYPE, bearer, validation,
};
use crate::config::Secret;
use crate::policy::Access;
use crate::status::unavailable;

const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the credentials of calls.
#[derive(Debug)]
pub struct Authenticator {
    validation: Validation,
    operator_token: Secret,
    mesh_token: Secret,
    /// Whether there is an authority to hear from.
    follows: AtomicBool,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    revoked: HashMap<String, i64>,
    heard: Option<Instant>,
}

impl Authenticator {
    /// An authenticator that knows no keys yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            validation: validation(config),
            operator_token: config.operator_token.clone(),
            mesh_token: config.mesh_token.clone(),
            follows: AtomicBool::default(),
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
            // Whose key it is decides who gets its answer. Nobody is refused for a token that is not valid; but the same
            // key must not be its user's at one time and nobody's at another, where there is somebody to ask.
            Access::Anyone if headers.contains_key(IDEMPOTENCY_KEY) => {
                match self.authenticate(headers, Access::OptionalUser) {
                    Err(status) if status.code() == Code::Unavailable && self.follows.load(Ordering::Relaxed) => {
                        Err(status)
                    }
                    outcome => Ok(outcome.unwrap_or(Caller::Anonymous)),
                }
            }
            Access::Anyone => Ok(Caller::Anonymous),
            Access::User | Access::OptionalUser if headers.contains_key(ON_BEHALF_OF) => self.on_behalf(headers),
            Access::OptionalUser if !headers.contains_key(header::AUTHORIZATION) => Ok(Caller::Anonymous),
            Access::User | Access::OptionalUser => self.user(bearer(headers)?).map(Caller::User),
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
            Access::Service | Access::Unspecified => self.service(headers),
        }
    }

    fn service(&self, headers: &HeaderMap) -> Result<Caller, Status> {
        match headers.get(MESH_TOKEN).and_then(|token| token.to_str().ok()) {
            Some(token) if same(token, self.mesh_token.expose()) => Ok(Caller::Service),
            _ => Err(Status::permission_denied("this call is for services of the mesh")),
        }
    }

    /// The user a service of the mesh calls for, long after the user's token was checked.
    fn on_behalf(&self, headers: &HeaderMap) -> Result<Caller, Status> {
        self.service(headers)?;
        let user = headers.get(ON_BEHALF_OF).and_then(|user| std::str::from_utf8(user.as_bytes()).ok());
        let user = user.and_then(|user| user.split_once(';')).filter(|(sub, _)| !sub.is_empty());
        let (sub, username) = user.ok_or_else(|| Status::unauthenticated("it is not said for whom the call is"))?;
        Ok(Caller::User(Claims { sub: sub.into(), username: username.into(), ..Claims::default() }))
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
        self.follows.store(true, Ordering::Relaxed);
        let mut retry = RETRY_MIN;
        loop {
            let first = async {
                let mut stream = authority.watch().await?;
                let first = stream.next().await.ok_or_else(|| Status::unavailable("the stream ended"))??;
                Ok::<_, Status>((first, stream))
            };
            let cause = match tokio::time::timeout(FIRST_TIMEOUT, first).await {
                Ok(Ok((first, stream))) => {
                    retry = RETRY_MIN;
                    self.learn(first, true);
                    self.listen(stream).await
                }
                Ok(Err(status)) => status,
                Err(_) => Status::unavailable("the authority did not answer"),
            };
            tracing::debug!(error = %cause.message(), "the stream of keys and revocations ended; asking again");
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(RETRY_MAX);
        }
    }

    /// Waits until keys and revocations have been heard of; at most `limit`.
    pub async fn ready(&self, limit: Duration) {
        let known = || self.known.read().unwrap_or_else(PoisonError::into_inner).heard.is_some();
        let _ = tokio::time::timeout(limit, async {
            while !known() {
                tokio::time::sleep(RETRY_MIN / 10).await;
            }
        })
        .await;
    }

    async fn listen(&self, mut stream: BoxStream<'static, Result<Change, Status>>) -> Status {
        loop {
            match tokio::time::timeout(FRESH, stream.next()).await {
                Ok(Some(Ok(change))) => self.learn(change, false),
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
            known.revoked.retain(|_, expiry| expiry.saturating_add(LEEWAY_S.cast_signed()) >= now);
            known.revoked.extend(change.revoked);
        }
        known.heard = Some(Instant::now());
    }
}

fn decoding_key(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?))
}

/// Compares secrets in a time that tells nothing about either. An empty expectation fits nothing.
fn same(given: &str, expected: &str) -> bool {
    use aws_lc_rs::{constant_time, digest};
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    !expected.is_empty()
        && constant_time::verify_slices_are_equal(hash(given).as_ref(), hash(expected).as_ref()).is_ok()
}

#[cfg(test)]
mod tests;
