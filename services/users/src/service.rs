//! `malla.users.v1` in terms of the domain.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _};
use malla_contracts::malla::users::v1 as proto;
use malla_contracts::malla::users::v1::users_service_server::UsersService;
use malla_runtime::auth::{self, Caller};
use malla_runtime::client;
use malla_runtime::shutdown::Shutdown;
use malla_runtime::status;
use malla_storage::database::timestamp;
use prost_types::Timestamp;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::accounts::Accounts;
use crate::rules::Profile;
use crate::store::{RevokedToken, SigningKey, User};
use crate::tokens::Tokens;
use crate::watch::{News, watch};

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    accounts: Accounts,
    tokens: Arc<Tokens>,
    shutdown: Shutdown,
}

impl Service {
    pub(crate) fn new(accounts: Accounts, tokens: Arc<Tokens>, shutdown: Shutdown) -> Self {
        Self { accounts, tokens, shutdown }
    }
}

#[tonic::async_trait]
impl UsersService for Service {
    async fn register(
        &self,
        request: Request<proto::RegisterRequest>,
    ) -> Result<Response<proto::RegisterResponse>, Status> {
        let proto::RegisterRequest { username, mail: email, first_name, last_name, password } = request.into_inner();
        let stored = self.accounts.register(Profile { username, email, first_name, last_name }, password).await?;
        Ok(Response::new(proto::RegisterResponse { user: Some(user(stored)) }))
    }

    async fn login(&self, request: Request<proto::LoginRequest>) -> Result<Response<proto::LoginResponse>, Status> {
        let address = client::of(request.metadata().as_ref());
        let proto::LoginRequest { username, password } = request.into_inner();
        let user = self.accounts.login(address, &username, password).await?;
        let (token, seconds) = self.tokens.issue(&user).await?;
        Ok(Response::new(proto::LoginResponse { token, expire_time: Some(Timestamp { seconds, nanos: 0 }) }))
    }

    async fn logout(&self, request: Request<proto::LogoutRequest>) -> Result<Response<proto::LogoutResponse>, Status> {
        let token = given(&request.get_ref().token, request.metadata())?;
        self.tokens.revoke(token).await?;
        Ok(Response::new(proto::LogoutResponse { status: "ok".into() }))
    }

    async fn check_token(
        &self,
        request: Request<proto::CheckTokenRequest>,
    ) -> Result<Response<proto::CheckTokenResponse>, Status> {
        let token = given(&request.get_ref().token, request.metadata())?;
        let claims = self.tokens.check(token).await?;
        let stored = self.accounts.get(&claims.sub).await?;
        Ok(Response::new(proto::CheckTokenResponse { user: Some(user(stored)) }))
    }

    async fn user_exists(
        &self,
        request: Request<proto::UserExistsRequest>,
    ) -> Result<Response<proto::UserExistsResponse>, Status> {
        let username = request.into_inner().username;
        if username.trim().is_empty() {
            return Err(status::invalid("username", "must be given"));
        }
        self.accounts.get_by_name(&username).await?;
        Ok(Response::new(proto::UserExistsResponse { exists: true }))
    }

    async fn get_me(&self, request: Request<proto::GetMeRequest>) -> Result<Response<proto::GetMeResponse>, Status> {
        let stored = self.accounts.get(&Caller::user(&request)?.sub).await?;
        Ok(Response::new(proto::GetMeResponse { user: Some(user(stored)) }))
    }

    async fn get_jwks(&self, _: Request<proto::GetJwksRequest>) -> Result<Response<proto::GetJwksResponse>, Status> {
        let keys = self.tokens.keys().await?.into_iter().map(jwk).collect();
        Ok(Response::new(proto::GetJwksResponse { keys }))
    }

    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::GetUserResponse>, Status> {
        let stored = self.accounts.get(&request.into_inner().id).await?;
        Ok(Response::new(proto::GetUserResponse { user: Some(user(stored)) }))
    }

    type WatchTokensStream = BoxStream<'static, Result<proto::WatchTokensResponse, Status>>;

    async fn watch_tokens(
        &self,
        _: Request<proto::WatchTokensRequest>,
    ) -> Result<Response<Self::WatchTokensStream>, Status> {
        let all = watch(self.tokens.clone(), self.shutdown.clone());
        Ok(Response::new(all.map(|next| Ok(news(next?))).boxed()))
    }
}

/// The token of the request, or else of its authorization header.
fn given<'a>(token: &'a str, metadata: &'a MetadataMap) -> Result<&'a str, Status> {
    if !token.is_empty() {
        return Ok(token);
    }
    auth::bearer(metadata.as_ref())
        .map_err(|_| status::invalid("token", "must be given, here or as Authorization: Bearer <token>"))
}

fn user(User { id, username, email, first_name, last_name, registered_ms, modified_ms, .. }: User) -> proto::User {
    let (time_registered, time_modified) = (Some(timestamp(registered_ms)), Some(timestamp(modified_ms)));
    proto::User { id, username, email, first_name, last_name, time_registered, time_modified }
}

fn jwk(SigningKey { kid, x, .. }: SigningKey) -> proto::Jwk {
    let [kty, crv, alg, r#use] = ["OKP", "Ed25519", "EdDSA", "sig"].map(str::to_owned);
    proto::Jwk { kty, crv, x, kid, alg, r#use }
}

fn news(News { keys, revoked }: News) -> proto::WatchTokensResponse {
    let token = |RevokedToken { jti, expires_ms, .. }| proto::RevokedToken {
        id: jti,
        expire_time: Some(timestamp(expires_ms)),
    };
    proto::WatchTokensResponse {
        keys: keys.into_iter().map(jwk).collect(),
        revoked: revoked.into_iter().map(token).collect(),
    }
}

#[cfg(test)]
mod tests;
