//! The last stage: what every response gets, and what a rejection looks like in its lane.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use malla_runtime::call::REQUEST_ID;
use tonic::body::Body;

use crate::call::headers;
use crate::coding::{self, Coding};
use crate::cors::{self, Page};
use crate::edge::Shared;
use crate::encode::Answer;
use crate::errors::Writer;
use crate::protocol::Lane;
use crate::record::Record;
use crate::rejection::Rejection;

/// For answers that are data: no guessing of types, no caching, nothing loaded, framed or run.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Makes the response, and lets the record follow it.
pub(crate) fn respond(
    edge: &Shared,
    lane: Lane,
    coding: Option<Coding>,
    page: Option<&Page>,
    outcome: Result<Answer, Rejection>,
    mut record: Record,
) -> Response<Body> {
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(rejection) => {
            record.refused(&rejection);
            if lane == Lane::Grpc { refuse_grpc(rejection) } else { refuse(rejection, &edge.errors) }
        }
    };
    if lane != Lane::Grpc {
        for (name, value) in SECURITY {
            answer.headers.entry(name).or_insert(value);
        }
        cors::allow(&edge.config.cors, page, &mut answer);
        if edge.config.compress {
            answer = coding::encoded(answer, coding, edge.config.compress_bytes_min);
        }
    }
    if record.is_head() {
        answer = without_body(answer);
    }
    if let Ok(id) = HeaderValue::from_str(&record.request_id) {
        answer.headers.insert(REQUEST_ID, id);
    }
    let body = record.follow(answer.status, &answer.headers, answer.body, edge.config.answer_timeout());
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// The error, as its route has it. What its backend wants as HTTP status counts, but never as a success.
fn refuse(rejection: Rejection, usual: &Writer) -> Answer {
    let errors = rejection.errors.as_deref().unwrap_or(usual);
    let metadata = rejection.status.metadata().as_ref();
    let http = headers::status(metadata).filter(|status| !status.is_success()).unwrap_or(rejection.http);
    let mut answer = if http == StatusCode::NOT_MODIFIED {
        Answer::empty(http)
    } else {
        Answer::full(http, errors.content_type(), errors.body(&rejection.status, http))
    };
    headers::from_metadata(metadata, &mut answer.headers);
    answer.headers.extend(rejection.headers);
    answer
}

/// The answer to HEAD: that to GET, with its length and without its body (RFC 9110 9.3.2). The length that goes with 304
/// would be that of 200, which is not known here.
fn without_body(mut answer: Answer) -> Answer {
    let has_length = !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(length) = answer.body.size_hint().exact().filter(|_| has_length) {
        answer.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Answer { body: Body::empty(), ..answer }
}

/// Trailers only: 200, and the status where gRPC clients look for it.
fn refuse_grpc(rejection: Rejection) -> Answer {
    let (mut parts, body) = rejection.status.into_http::<Body>().into_parts();
    parts.headers.extend(rejection.headers);
    Answer { status: StatusCode::OK, headers: parts.headers, body }
}
