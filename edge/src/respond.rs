//! The last stage: what every response gets, and what a rejection looks like in its lane.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use malla_runtime::call::REQUEST_ID;
use tonic::body::Body;

use crate::call::headers;
use crate::codec::Details;
use crate::encode::Answer;
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
    lane: Lane,
    outcome: Result<Answer, Rejection>,
    details: &Details,
    mut record: Record,
) -> Response<Body> {
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(rejection) => {
            record.refused(&rejection);
            if lane == Lane::Grpc { refuse_grpc(rejection) } else { refuse(rejection, details) }
        }
    };
    if lane != Lane::Grpc {
        for (name, value) in SECURITY {
            answer.headers.entry(name).or_insert(value);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&record.request_id) {
        answer.headers.insert(REQUEST_ID, id);
    }
    let body = record.follow(answer.status, &answer.headers, answer.body);
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// `google.rpc.Status` as JSON.
fn refuse(rejection: Rejection, details: &Details) -> Answer {
    let mut answer = Answer::json(rejection.http, details.json(&rejection.status));
    headers::from_metadata(rejection.status.metadata().as_ref(), &mut answer.headers);
    answer.headers.extend(rejection.headers);
    answer
}

/// Trailers only: 200, and the status where gRPC clients look for it.
fn refuse_grpc(rejection: Rejection) -> Answer {
    let (parts, body) = rejection.status.into_http::<Body>().into_parts();
    Answer { status: StatusCode::OK, headers: parts.headers, body }
}
