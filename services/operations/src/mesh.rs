//! Calls to any method of the mesh, their messages as bytes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use malla_runtime::auth::{self, ON_BEHALF_OF};
use malla_runtime::codec::BytesCodec;
use malla_runtime::config;
use malla_runtime::link::Links;
use malla_runtime::module::Context;
use malla_storage::keyed::KEY;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use crate::store::Call;

/// Makes an attempt at a call. Apart, so that tests can say how attempts end.
pub(crate) trait Caller: Send + Sync {
    /// Calls the method once, for the call's owner and with its key.
    fn attempt(&self, call: &Call) -> BoxFuture<'static, Result<Bytes, Status>>;
}

/// The mesh, called as a service of it.
pub(crate) struct Mesh {
    links: Links,
    token: HeaderValue,
    timeout: Duration,
}

impl Mesh {
    pub(crate) fn new(context: &Context, timeout: Duration) -> Result<Self, config::Error> {
        Ok(Self { links: context.links.clone(), token: auth::mesh_header(&context.auth)?, timeout })
    }
}

impl Caller for Mesh {
    fn attempt(&self, call: &Call) -> BoxFuture<'static, Result<Bytes, Status>> {
        let link = capability(&call.method).map(|name| self.links.get(name));
        let (request, path) = (request(call, self.timeout), PathAndQuery::try_from(format!("/{}", call.method)));
        let (token, timeout) = (self.token.clone(), self.timeout);
        Box::pin(async move {
            let (Some(Ok(link)), Ok(path)) = (link, path) else {
                return Err(Status::unimplemented("this mesh has no such method"));
            };
            let mut client = Grpc::new(link.as_service(&token));
            let calling = client.unary(request, path, BytesCodec);
            let expired = |_| Status::deadline_exceeded("the attempt took too long");
            Ok(tokio::time::timeout(timeout, calling).await.map_err(expired)??.into_inner())
        })
    }
}

/// Whether the mesh may know a method: it names a package's service, and a method of it.
pub(crate) fn is_method(method: &str) -> bool {
    let service = method.split_once('/').map(|(service, _)| service);
    service.is_some_and(|service| service.split('.').count() > 2)
        && PathAndQuery::try_from(format!("/{method}")).is_ok()
}

/// The service that serves a method, by the rule for packages: `malla.<capability>.v1`.
fn capability(method: &str) -> Option<&str> {
    method.split('.').nth(1)
}

fn request(call: &Call, timeout: Duration) -> Request<Bytes> {
    let mut headers = HeaderMap::new();
    headers.extend(call.idempotency_key.as_ref().and_then(|key| Some((KEY, HeaderValue::from_str(key).ok()?))));
    if !call.owner.is_empty() {
        let user = format!("{};{}", call.owner, call.username);
        headers.extend(HeaderValue::from_bytes(user.as_bytes()).ok().map(|user| (ON_BEHALF_OF, user)));
    }
    let message = Bytes::from(call.request.clone());
    let mut request = Request::from_parts(MetadataMap::from_headers(headers), Extensions::default(), message);
    request.set_timeout(timeout);
    request
}
