//! Access tokens (RFC 9068): issues, checks and revokes them, and keeps the keys they are signed with (RFC 8037).
//!
//! Keys and revocations are read from the database each time, so this service never takes a token for good that
//! another process has revoked.

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use malla_runtime::auth::{self, Claims, TOKEN_BYTES_MAX, TOKEN_TYPE};
use malla_runtime::module::StartError;
use malla_storage::database::now_ms;
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::store::Database;
use crate::store::{RevokedToken, SigningKey, User};

/// Issuer and judge of access tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    database: Database,
    validation: Validation,
    issuer: String,
    audience: String,
    ttl_s: i64,
    /// Told of each revocation made in this process.
    revoked: watch::Sender<()>,
}

impl Tokens {
    /// Opens the keyring; the first time, makes a key.
    pub(crate) async fn open(database: Database, auth: &auth::Config, config: &Config) -> Result<Self, StartError> {
        database.add_first_key(new_key()?).await?;
        Ok(Self {
            database,
            validation: auth::validation(auth),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            ttl_s: config.token_ttl_s.into(),
            revoked: watch::Sender::new(()),
        })
    }

    /// Makes a token for a user; with it, when it expires, in seconds since 1970.
    pub(crate) async fn issue(&self, user: &User) -> Result<(String, i64), Error> {
        let key = self.keys().await?.into_iter().next().ok_or(Error::NoKey)?;
        let iat = now_ms() / 1_000;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.id.clone(),
            username: user.username.clone(),
            jti: Uuid::new_v4().to_string(),
            iat,
            exp: iat + self.ttl_s,
        };
        let header = Header { typ: Some(TOKEN_TYPE.into()), kid: Some(key.kid), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&key.pkcs8))?;
        Ok((token, claims.exp))
    }

    /// What a token says, if it is valid.
    pub(crate) async fn check(&self, token: &str) -> Result<Claims, Error> {
        let claims = self.read(token, &self.keys().await?).ok_or(Error::UnknownToken)?;
        if self.database.is_revoked(&claims.jti).await? { Err(Error::UnknownToken) } else { Ok(claims) }
    }

    /// Revokes a valid token, once.
    pub(crate) async fn revoke(&self, token: &str) -> Result<(), Error> {
        let claims = self.check(token).await?;
        if !self.database.revoke(&claims.jti, claims.exp.saturating_mul(1_000), self.expired_ms()).await? {
            return Err(Error::UnknownToken);
        }
        let revoked = self.revoked.clone();
        self.database
            .afterwards(async move {
                revoked.send_replace(());
            })
            .await;
        Ok(())
    }

    /// The keys whose tokens are valid, the one that signs first.
    pub(crate) async fn keys(&self) -> Result<Vec<SigningKey>, Error> {
        self.database.keys().await
    }

    /// Revocations after number `seq` that are still in force, in order.
    pub(crate) async fn revoked_since(&self, seq: i64) -> Result<Vec<RevokedToken>, Error> {
        self.database.revoked_since(seq, self.expired_ms()).await
    }

    /// Changes with each revocation made in this process; those of others are in the database only.
    pub(crate) fn revocations(&self) -> watch::Receiver<()> {
        self.revoked.subscribe()
    }

    fn read(&self, token: &str, keys: &[SigningKey]) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TOKEN_TYPE) {
            return None;
        }
        let key = keys.iter().find(|key| header.kid.as_ref() == Some(&key.kid))?;
        let key = DecodingKey::from_ed_components(&key.x).ok()?;
        Some(jsonwebtoken::decode(token, &key, &self.validation).ok()?.claims)
    }

    /// Tokens that expired before this are refused for that alone. A second more than the leeway, because tokens
    /// are judged in whole seconds.
    fn expired_ms(&self) -> i64 {
        now_ms() - (self.validation.leeway.cast_signed() + 1) * 1_000
    }
}

fn new_key() -> Result<SigningKey, StartError> {
    let pkcs8 = Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec();
    let jwk = Jwk::from_encoding_key(&EncodingKey::from_ed_der(&pkcs8), Algorithm::EdDSA)?;
    let AlgorithmParameters::OctetKeyPair(public) = &jwk.algorithm else { return Err("not an Ed25519 key".into()) };
    let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
    Ok(SigningKey { kid, x: public.x.clone(), pkcs8, created_ms: now_ms(), expires_ms: None })
}

#[cfg(test)]
mod tests;
