//! gRPC passed through: bytes as they come, both ways, never decoded.

use futures_util::TryFutureExt as _;
use http::request::Parts;
use http::{HeaderMap, Request, Version};
use malla_runtime::call::{self as deadlines, Call};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt as _;

use crate::call::bounded::bounded;
use crate::call::cuttable::{Cuttable, cuttable};
use crate::call::{expired, headers};
use crate::encode::Answer;
use crate::load::Method;
use crate::rejection::Rejection;

/// Sends a request on to its backend.
///
/// # Errors
/// The backend cannot be reached, or did not even begin to answer before the deadline.
pub(crate) async fn pass(
    method: &Method,
    head: &Parts,
    headers: HeaderMap,
    body: Body,
    deadline: Instant,
    closing: CancellationToken,
) -> Result<Answer, Rejection> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = method.path.clone().into();
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    // Whatever the client wrote, the backend gets what remains.
    request.headers_mut().remove(deadlines::TIMEOUT);
    let calling = async {
        if method.client_streaming {
            let call = |link: Cuttable| link.oneshot(request).map_err(Rejection::of_call);
            return cuttable(&method.link, CancellationToken::new(), deadline, call).await;
        }
        let call = Call::new(Some(deadline), request.headers());
        call.scope(method.link.clone().oneshot(request)).await.map_err(Rejection::of_call)
    };
    let response = tokio::time::timeout_at(deadline, calling).await;
    let (parts, body) = response.map_err(|_| Rejection::backend(expired()))??.into_parts();
    let closing = method.server_streaming.then_some(closing);
    let body = bounded(body, deadline, closing);
    Ok(Answer { status: parts.status, headers: headers::pass(&parts.headers, None), body })
}
