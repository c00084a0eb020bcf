//! Which of its languages a request speaks.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::elements::essence;
use crate::pages;

/// The way a request takes through the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// gRPC: bytes pass through untouched.
    Grpc,
    /// HTTP and JSON, transcoded.
    Rest,
    /// The edge's own pages.
    Page,
}

impl Lane {
    /// Its name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Rest => "rest",
            Self::Page => "page",
        }
    }
}

/// Tells the lane from content type and path. gRPC goes first: its paths are no pages.
pub(crate) fn lane(head: &Parts) -> Lane {
    if head.method == Method::POST && is_grpc(&head.headers) {
        return Lane::Grpc;
    }
    if pages::is_own(head.uri.path()) { Lane::Page } else { Lane::Rest }
}

/// Whether a body is gRPC by its content type. Not grpc-web: its frames would need translation.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence(content_type);
    essence == "application/grpc" || essence.starts_with("application/grpc+")
}
