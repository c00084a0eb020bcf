//! A request's body, query and path to the messages of its call.

pub(crate) mod body;
mod form;
mod multipart;
mod stream;
mod values;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tonic::Code;
use tonic::body::Body;

use crate::buffered::Buffered;
use crate::codec::{self, Input, Payload, RequestPlan};
use crate::coding;
use crate::config::Config;
use crate::elements::essence;
use crate::load::Binding;
use crate::rejection::Rejection;
use body::{BodyReader, Chunks as _, Gathered};
use form::Each;
use multipart::Multipart;
use stream::{Ended, Json, PIECE_BYTES_MAX, PIECE_BYTES_MIN, Upload};
use values::Values;

pub(crate) use stream::{Piece, Pieces, Sequence, Source};

const MULTIPART: &str = "multipart/form-data";

/// The messages of a call.
pub(crate) enum Messages {
    One(Bytes),
    Pieces(Pieces),
}

/// Reads a request as its binding has it. A stream is read on while the call is made, and holds what it has not passed on;
/// what is no stream is gathered whole, and `buffered` is to be kept for as long as it is.
///
/// # Errors
/// 400 with field violations, 408, 413, 415, 429, 503.
pub(crate) async fn decode(
    config: &Config,
    head: &Parts,
    body: Body,
    binding: &Binding,
    variables: &[String],
    buffered: &Buffered,
) -> Result<Messages, Rejection> {
    let plan = &binding.request;
    let input = Input { variables, query: head.uri.query().unwrap_or_default() };
    if plan.is_raw() {
        let reader = reader(config, head, body, config.upload_bytes_max, buffered)?;
        return upload(config, binding, input, content_type(&head.headers), reader).await;
    }
    if binding.method.client_streaming && plan.has_body() {
        let body = coding::decoded(&head.headers, body, config.upload_bytes_max)?;
        return stream(config, &head.headers, body, binding, input, buffered).map(Messages::Pieces);
    }
    let mut reader = reader(config, head, body, config.body_bytes_max, buffered)?;
    let text;
    let payload = if plan.has_body() && essence(content_type(&head.headers)) == MULTIPART {
        let parts = Multipart::new(content_type(&head.headers), reader, config.body_bytes_max)?;
        return form::message(plan, input, parts).await.map(Messages::One);
    } else if plan.has_body() {
        text = reader.all().await?;
        payload(plan, &head.headers, &text)?
    } else if reader.next().await?.is_some() {
        return Err(Rejection::field("", "this call takes no body"));
    } else {
        Payload::Empty
    };
    let mut message = codec::decode(plan, input, payload).map_err(Rejection::violations)?;
    if let (Some(field), Some(id)) = (binding.resume, head.headers.get("last-event-id")) {
        message = resumed(message, field, id)?;
    }
    Ok(match binding.method.client_streaming {
        false => Messages::One(message),
        true => Messages::Pieces(Pieces::new(Some(message), Ended)),
    })
}

/// Says from where on a client wants to go on. Browsers that come again do so with the target they began with, so what
/// the header says counts more; on the wire the last one does.
fn resumed(message: Bytes, field: u32, id: &HeaderValue) -> Result<Bytes, Rejection> {
    let id = std::str::from_utf8(id.as_bytes()).map_err(|_| Rejection::field("Last-Event-ID", "must be UTF-8"))?;
    let mut wire = Vec::from(message);
    prost::encoding::string::encode(field, &id.to_owned(), &mut wire);
    Ok(wire.into())
}

/// A stream of JSON messages. Each is as large as other bodies at most, all together as uploads.
fn stream(
    config: &Config,
    headers: &HeaderMap,
    body: Body,
    binding: &Binding,
    input: Input<'_>,
    buffered: &Buffered,
) -> Result<Pieces, Rejection> {
    // Whoever is answered meanwhile may have nothing to say for long; the deadline holds for them too.
    let both_ways = binding.method.server_streaming;
    let idle = if both_ways { binding.method.deadline } else { config.body_idle_timeout() };
    let reader = BodyReader::new(body, config.upload_bytes_max, idle, buffered)?;
    let sequence = Sequence::new(&binding.request, input);
    let is_lines = match &*essence(content_type(headers)) {
        "" | "application/json" => false,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => true,
        essence if essence.ends_with("+json") => false,
        MULTIPART => {
            let parts = Multipart::new(content_type(headers), reader, config.body_bytes_max)?;
            return Ok(Pieces::new(None, Each { sequence, parts }));
        }
        _ => return Err(unsupported(content_type(headers))),
    };
    let message_bytes_max = usize::try_from(config.body_bytes_max).unwrap_or(usize::MAX);
    let values = Values::new(message_bytes_max, is_lines);
    Ok(Pieces::new(None, Json { sequence, reader, values, ended: false }))
}

fn reader(
    config: &Config,
    head: &Parts,
    body: Body,
    bytes_max: u64,
    buffered: &Buffered,
) -> Result<BodyReader, Rejection> {
    let body = coding::decoded(&head.headers, body, bytes_max)?;
    BodyReader::new(body, bytes_max, config.body_idle_timeout(), buffered)
}

/// Tells what a body is.
fn payload<'t>(plan: &RequestPlan, headers: &HeaderMap, text: &'t [u8]) -> Result<Payload<'t>, Rejection> {
    if text.is_empty() {
        return Ok(Payload::Empty);
    }
    let content_type = content_type(headers);
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    let charset = parameters.find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    if charset.is_some_and(|(_, charset)| !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        return Err(unsupported(content_type));
    }
    match &*essence(content_type) {
        "" | "application/json" => Ok(Payload::Json(text)),
        essence if essence.ends_with("+json") => Ok(Payload::Json(text)),
        // What curl calls everything that -d sends.
        "application/x-www-form-urlencoded" if plan.is_lenient() && looks_like_json(text) => Ok(Payload::Json(text)),
        "application/x-www-form-urlencoded" => Ok(Payload::Form(text)),
        _ if plan.is_lenient() => Ok(Payload::Json(text)),
        _ => Err(unsupported(content_type)),
    }
}

/// Whether a body was meant as JSON: it begins like it, so that mistakes in it are explained, or is it as a whole
/// (`true`, `12`), as no form with a field is.
fn looks_like_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
        || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn unsupported(content_type: &str) -> Rejection {
    let message = format!("{content_type:?} is not read here; send application/json or a form, in UTF-8");
    Rejection::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message)
}

/// Path and query go into the first message, with the first piece of the body.
async fn upload(
    config: &Config,
    binding: &Binding,
    input: Input<'_>,
    content_type: &str,
    mut reader: BodyReader,
) -> Result<Messages, Rejection> {
    let (plan, streaming) = (&binding.request, binding.method.client_streaming);
    if essence(content_type) == MULTIPART {
        let parts = Multipart::new(content_type, reader, config.body_bytes_max)?;
        return form::upload(plan, streaming, input, parts).await;
    }
    let first =
        |data: &Bytes| codec::decode(plan, input, Payload::Raw { content_type, data }).map_err(Rejection::violations);
    if !streaming {
        return first(&reader.all().await?).map(Messages::One);
    }
    let mut data = Gathered::new(reader);
    let first = first(&data.piece(PIECE_BYTES_MIN, PIECE_BYTES_MAX).await?.unwrap_or_default())?;
    Ok(Messages::Pieces(Pieces::new(Some(first), Upload { plan: plan.clone(), data })))
}
