//! The operations service as the one that keeps the edge's calls for later: here the two meet, neither knows the other.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use malla_contracts::malla::operations::v1::AcceptCallRequest;
use malla_contracts::malla::operations::v1::operations_service_client::OperationsServiceClient;
use malla_edge::Deferred;
use malla_runtime::auth::Caller;
use malla_runtime::link::Link;
use prost::Message as _;
use tonic::Status;

/// Keeps calls with the operations service; its link has to call as a service.
#[derive(Debug)]
pub(crate) struct Deferral(OperationsServiceClient<Link>);

impl Deferral {
    pub(crate) fn new(link: Link) -> Self {
        Self(OperationsServiceClient::new(link))
    }
}

impl malla_edge::Deferral for Deferral {
    fn accept(&self, call: Deferred) -> BoxFuture<'_, Result<Bytes, Status>> {
        let mut client = self.0.clone();
        let (subject, username) = match call.caller {
            Caller::User(claims) => (claims.sub, claims.username),
            _ => Default::default(),
        };
        let request = AcceptCallRequest {
            method: call.method,
            request: call.request,
            response_type: call.response_type,
            subject,
            username,
            idempotency_key: call.key,
        };
        Box::pin(async move {
            let accepted = client.accept_call(request).await?.into_inner().operation;
            Ok(accepted.unwrap_or_default().encode_to_vec().into())
        })
    }

    /// As the operations service's contract has it: `GET /v1/{name=operations/*}`.
    fn location(&self, name: &str) -> Option<String> {
        Some(format!("/v1/{name}"))
    }
}
