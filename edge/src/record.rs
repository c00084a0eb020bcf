//! One access-log line and one measurement for each request, written when its response is over.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use malla_runtime::telemetry;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use crate::accept::Untaken;
use crate::buffered::Buffered;
use crate::limit::Permit;
use crate::protocol::Lane;
use crate::rejection::Rejection;
use crate::status;

/// An answer is handed on in pieces of this at most: what hyper has taken it keeps until the client does, without a place.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// The edge's instruments, made once.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    duration: Histogram<f64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let description = "Time from a request's arrival to the end of its response";
        Self { duration: telemetry::duration_histogram("http.server.request.duration", description) }
    }
}

/// What is known of a request so far. Writes itself down when dropped, so that a client that leaves is noted too.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) started: Instant,
    pub(crate) request_id: String,
    pub(crate) span: Span,
    lane: Lane,
    http_method: String,
    /// The template that matched, never the path: paths and queries may hold secrets.
    route: String,
    rpc: String,
    http_status: StatusCode,
    code: Code,
    /// What a response that has begun as a success turns out to end with.
    failed: Option<Arc<OnceLock<Code>>>,
    refused_by: &'static str,
    bytes: u64,
    finished: bool,
    permits: Vec<Permit>,
    answer: Option<Buffered>,
    /// When the call has to be over.
    deadline: Option<Instant>,
    untaken: Option<Untaken>,
    /// To whom the record goes instead of the response.
    successor: Option<oneshot::Sender<Record>>,
    metrics: Metrics,
}

impl Record {
    pub(crate) fn new(head: &Parts, lane: Lane, request_id: String, span: Span, metrics: Metrics) -> Self {
        Self {
            started: Instant::now(),
            request_id,
            span,
            lane,
            http_method: known_method(head.method.as_str()).to_owned(),
            route: String::new(),
            rpc: String::new(),
            // Until there is an answer, the only way for the request to end is that its client leaves.
            http_status: status::http_of(Code::Cancelled),
            code: Code::Ok,
            failed: None,
            refused_by: "",
            bytes: 0,
            finished: false,
            permits: Vec::new(),
            answer: None,
            deadline: None,
            untaken: None,
            successor: None,
            metrics,
        }
    }

    /// The request was matched.
    pub(crate) fn matched(&mut self, route: &str, rpc: &str) {
        route.clone_into(&mut self.route);
        rpc.clone_into(&mut self.rpc);
        self.span.record("otel.name", format_args!("{} {route}", self.http_method)).record("http.route", route);
        self.span.record("rpc.method", rpc);
    }

    /// The request has a place until its response is over.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permits.push(permit);
    }

    /// The answer is there, and counts until it is over.
    pub(crate) fn hold_answer(&mut self, answer: Buffered) {
        self.answer = Some(answer);
    }

    /// The call has to be over by then.
    pub(crate) fn ends_by(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Whether the client wants no body.
    pub(crate) fn is_head(&self) -> bool {
        self.http_method == "HEAD"
    }

    /// What follows the response goes on with the record.
    pub(crate) fn hand_over(&mut self, successor: oneshot::Sender<Self>) {
        self.successor = Some(successor);
    }

    /// Some more was sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// All was sent.
    pub(crate) fn over(mut self) {
        self.finished = true;
    }

    /// The request was refused.
    pub(crate) fn refused(&mut self, rejection: &Rejection) {
        self.code = rejection.status.code();
        self.refused_by = rejection.source.name();
    }

    /// Where a response that has begun says that it failed, for those whose bodies do not show it.
    pub(crate) fn failed(&mut self) -> Arc<OnceLock<Code>> {
        self.failed.get_or_insert_default().clone()
    }

    /// Follows the response to its end, which comes this long after the call's deadline if its client does not take it.
    pub(crate) fn follow(
        mut self,
        http_status: StatusCode,
        headers: &HeaderMap,
        body: Body,
        answer_timeout: Duration,
    ) -> Body {
        self.http_status = http_status;
        if let Some(code) = code_of(headers) {
            self.code = code;
        }
        if let Some(successor) = self.successor.take() {
            // If it is gone, so is the client.
            let _ = successor.send(self);
            return body;
        }
        self.finished = body.is_end_stream();
        self.untaken = Untaken::until(self.deadline.unwrap_or_else(Instant::now) + answer_timeout);
        Body::new(Followed { body, rest: Bytes::new(), record: self })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(code) = self.failed.as_ref().and_then(|failed| failed.get()) {
            self.code = *code;
        }
        if !self.finished && self.code == Code::Ok {
            self.code = Code::Cancelled;
        }
        let elapsed = self.started.elapsed();
        let code = status::name(self.code);
        self.metrics.duration.record(
            elapsed.as_secs_f64(),
            &[
                KeyValue::new("http.request.method", self.http_method.clone()),
                // Empty where nothing matched: a path a client made up is no label.
                KeyValue::new("rpc.method", self.rpc.clone()),
                KeyValue::new("code", code),
                KeyValue::new("lane", self.lane.name()),
            ],
        );
        self.span.record("http.response.status_code", self.http_status.as_u16());
        self.span.in_scope(|| {
            tracing::info!(
                target: "access",
                {
                    http.method = self.http_method,
                    http.route = self.route,
                    rpc.method = self.rpc,
                    status = self.http_status.as_u16(),
                    code,
                    lane = self.lane.name(),
                    refused_by = self.refused_by,
                    duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3,
                    request.id = self.request_id,
                    bytes = self.bytes,
                },
                "request"
            );
        });
    }
}

/// The code alone: tonic reads the details too, and panics where they are no base64.
fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

/// Clients can make methods up, and labels come from a closed set.
pub(crate) fn known_method(method: &str) -> &str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
    if KNOWN.contains(&method) { method } else { "_OTHER" }
}

struct Followed {
    body: Body,
    /// What is left of the frame that is being handed on.
    rest: Bytes,
    record: Record,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).transpose() {
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => {
                        if let Some(code) = frame.trailers_ref().and_then(code_of) {
                            self.record.code = code;
                        }
                        self.record.finished = self.is_end_stream();
                        return Poll::Ready(Some(Ok(frame)));
                    }
                },
                Ok(None) => {
                    self.record.finished = true;
                    return Poll::Ready(None);
                }
                Err(status) => {
                    self.record.code = status.code();
                    return Poll::Ready(Some(Err(status)));
                }
            }
        }
        let length = self.rest.len().min(PIECE_BYTES_MAX);
        let piece = self.rest.split_to(length);
        self.record.bytes += length as u64;
        // A body of known length is not polled again after its last byte.
        self.record.finished = self.is_end_stream();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
pub(crate) mod tests;
