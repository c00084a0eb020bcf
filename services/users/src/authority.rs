//! The other end of `WatchTokens`: how every process of the mesh learns of keys and revocations.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse,
};
use malla_contracts::malla::users::v1 as proto;
use malla_contracts::malla::users::v1::users_service_client::UsersServiceClient;
use malla_runtime::auth::{Authority, Change};
use malla_runtime::link::Link;
use tonic::Status;

/// Largest message: room for the revocations of an hour in which nothing happens but logins and logouts, of which
/// a machine can do about a hundred a second.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// The users service as the authority on tokens; `link` has to call as a service.
#[must_use]
pub fn authority(link: Link) -> Arc<dyn Authority> {
    Arc::new(Remote(UsersServiceClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX)))
}

struct Remote(UsersServiceClient<Link>);

impl Authority for Remote {
    fn watch(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<Change, Status>>, Status>> {
        let mut client = self.0.clone();
        Box::pin(async move {
            let news = client.watch_tokens(proto::WatchTokensRequest {}).await?.into_inner();
            Ok(news.map(|news| news.map(change)).boxed())
        })
    }
}

fn change(news: proto::WatchTokensResponse) -> Change {
    let keys = (!news.keys.is_empty()).then(|| JwkSet { keys: news.keys.into_iter().filter_map(jwk).collect() });
    let expiry = |token: &proto::RevokedToken| token.expire_time.map_or(i64::MAX, |time| time.seconds);
    let revoked = news.revoked.into_iter().map(|token| (token.id.clone(), expiry(&token))).collect();
    Change { keys, revoked }
}

/// Keys of kinds that came later are left out: their tokens are refused, all others go on.
fn jwk(key: proto::Jwk) -> Option<Jwk> {
    let common = CommonParameters {
        key_id: Some(key.kid),
        key_algorithm: Some(KeyAlgorithm::EdDSA),
        public_key_use: Some(PublicKeyUse::Signature),
        ..CommonParameters::default()
    };
    let (key_type, curve) = (OctetKeyPairType::OctetKeyPair, EllipticCurve::Ed25519);
    let algorithm = AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters { key_type, curve, x: key.x });
    (key.kty == "OKP" && key.crv == "Ed25519").then_some(Jwk { common, algorithm })
}
