//! A backend's messages to the body of an HTTP answer: JSON, raw bytes, or a stream of either.

mod frame;
mod stream;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use malla_transcode::json::EncodeError;
use tonic::Status;
use tonic::body::Body;

use crate::call::{Replied, Reply, headers};
use crate::codec::{HttpBody, ResponsePlan};
use crate::load::Binding;
use crate::rejection::Rejection;
use frame::Format;

pub(crate) use stream::Terms;

#[cfg(test)]
mod tests;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What is sent back, but for what every answer gets.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Body::empty() }
    }

    /// An answer with a body that is there already.
    pub(crate) fn full(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type);
        Self { status, headers, body: Body::new(Full::new(body.into())) }
    }

    /// JSON.
    pub(crate) fn json(status: StatusCode, json: impl Into<Bytes>) -> Self {
        Self::full(status, HeaderValue::from_static("application/json"), json)
    }
}

/// Whether an answer is a stream that shows signs of life of its own, and so has to be open for them.
pub(crate) fn beats(binding: &Binding, head: &Parts) -> bool {
    let is_json = matches!(binding.response, ResponsePlan::Json(_));
    binding.method.server_streaming && is_json && Format::of(&head.headers).heartbeat().is_some()
}

/// Writes a reply as its binding has it.
///
/// # Errors
/// What the backend ended a stream with before its first message, or at all where nothing else is told; 500 for bytes that
/// are not the promised message.
pub(crate) async fn encode(
    binding: &Binding,
    head: &Parts,
    mut reply: Reply,
    terms: Terms,
) -> Result<Answer, Rejection> {
    let takes_trailers = terms.trailers;
    let success = headers::status(&reply.headers).unwrap_or(binding.success);
    let is_silent = matches!(success, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_silent && let Replied::Stream(replies) = &mut reply.messages {
        // Nobody hears them, but how the call ends is the answer.
        while replies.next().await?.is_some() {}
        reply.trailers = replies.trailers();
        reply.messages = Replied::One(Bytes::new());
    }
    let is_stream = matches!(reply.messages, Replied::Stream(_));
    let with_leading = |mut rejection: Rejection| {
        rejection.status.metadata_mut().as_mut().extend(reply.headers.clone());
        rejection
    };
    let mut answer = match (reply.messages, &binding.response) {
        (Replied::One(_), _) if is_silent => Answer::empty(success),
        (Replied::One(message), plan) => one(plan, success, head, &message)?,
        (Replied::Stream(messages), ResponsePlan::Raw(plan)) => {
            stream::raw(plan.clone(), success, messages, terms).await.map_err(with_leading)?
        }
        (Replied::Stream(messages), ResponsePlan::Json(plan)) => {
            let format = Format::of(&head.headers);
            stream::json(plan.clone(), success, format, messages, terms).await.map_err(with_leading)?
        }
    };
    headers::from_metadata(&reply.headers, &mut answer.headers);
    if is_stream && takes_trailers {
        headers::announce(&reply.headers, &mut answer.headers);
    }
    Ok(with_trailers(answer, takes_trailers, &reply.trailers))
}

/// Puts what came after a single message after it where the client takes trailers, else among the headers.
fn with_trailers(mut answer: Answer, takes_trailers: bool, received: &HeaderMap) -> Answer {
    let mut trailers = HeaderMap::new();
    headers::from_metadata(received, &mut trailers);
    if trailers.is_empty() {
        return answer;
    }
    if answer.body.is_end_stream() || !takes_trailers {
        headers::from_metadata(received, &mut answer.headers);
        return answer;
    }
    for name in trailers.keys() {
        answer.headers.append(header::TRAILER, name.clone().into());
    }
    // Of unknown length, or HTTP/1.1 would have no place for them.
    let data = answer.body.into_data_stream().map_ok(Frame::data);
    let frames = data.chain(futures_util::stream::once(async { Ok(Frame::trailers(trailers)) }));
    Answer { body: Body::new(StreamBody::new(frames)), ..answer }
}

fn one(plan: &ResponsePlan, success: StatusCode, head: &Parts, message: &Bytes) -> Result<Answer, Rejection> {
    Ok(match plan {
        ResponsePlan::Json(plan) => {
            let text = plan.text(message).map_err(unreadable).map_err(Rejection::backend)?;
            let mut answer = Answer::json(success, text);
            let token = plan.next_page_token(message);
            let in_query = matches!(head.method, Method::GET | Method::HEAD) && !token.is_empty();
            if let Some(link) = in_query.then(|| next_page(&head.uri, token)).flatten() {
                answer.headers.insert(header::LINK, link);
            }
            answer
        }
        ResponsePlan::Raw(plan) => {
            let body = plan.body(message).map_err(unreadable).map_err(Rejection::backend)?;
            Answer::full(success, media_type(&body), body.data)
        }
    })
}

/// `Link` to the next page (RFC 8288): the same request with another `page_token`.
fn next_page(uri: &Uri, token: &str) -> Option<HeaderValue> {
    let is_token = |pair: &str| {
        form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| matches!(&*name, "page_token" | "pageToken"))
    };
    let mut target = format!("<{}?", uri.path());
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_token(pair)) {
        target.extend([pair, "&"]);
    }
    target.push_str("page_token=");
    target.extend(form_urlencoded::byte_serialize(token.as_bytes()));
    target.push_str(">; rel=\"next\"");
    HeaderValue::try_from(target).ok()
}

fn media_type(body: &HttpBody) -> HeaderValue {
    if body.content_type.is_empty() {
        return OCTETS;
    }
    HeaderValue::from_str(&body.content_type).unwrap_or(OCTETS)
}

/// What the client is told of an answer that cannot be written: only that the backend is at fault.
pub(crate) fn unreadable(error: EncodeError) -> Status {
    tracing::error!(%error, "an answer cannot be written");
    Status::internal("the backend's answer cannot be read")
}
