//! A request's body, query and path to the messages of its call.

mod body;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::codec::{HttpBody, Input, Payload, RequestPlan};
use crate::config::Config;
use crate::load::Binding;
use crate::rejection::Rejection;
use body::BodyReader;

/// A raw upload is sent on in pieces of at least this, so that a client's tiny writes do not become tiny messages.
const PIECE_BYTES_MIN: usize = 64 << 10;
/// And of at most this.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// The messages of a call.
pub(crate) enum Messages {
    One(Bytes),
    Pieces(Pieces),
}

/// A raw upload, read as it is sent on.
pub(crate) struct Pieces {
    pub(crate) stream: BoxStream<'static, Bytes>,
    /// Says why the upload broke off. Dropped, it breaks the upload off.
    pub(crate) broken: oneshot::Receiver<Rejection>,
    /// Cancelled when the upload broke off. The stream then never ends: a clean end would make it look complete.
    pub(crate) cut: CancellationToken,
}

/// Reads a request as its binding has it. An upload is read on while the call is made.
///
/// # Errors
/// 400 with field violations, 408, 413, 415; 501 for client streams that are no uploads.
pub(crate) async fn decode(
    config: &Config,
    head: &Parts,
    body: Body,
    binding: &Binding,
    variables: &[String],
) -> Result<Messages, Rejection> {
    let plan = &binding.request;
    let input = Input { variables, query: head.uri.query().unwrap_or_default() };
    refuse_encoding(&head.headers)?;
    if binding.method.client_streaming && (!plan.is_raw() || binding.method.server_streaming) {
        let message = format!(
            "{} takes a stream of messages, which JSON over HTTP cannot carry yet; use gRPC",
            binding.method.name()
        );
        return Err(Rejection::new(Status::unimplemented(message)));
    }
    if plan.is_raw() {
        let reader = BodyReader::new(body, config.upload_bytes_max, config.body_idle_timeout())?;
        return upload(binding, input, content_type(&head.headers).to_owned(), reader).await;
    }
    let mut reader = BodyReader::new(body, config.body_bytes_max, config.body_idle_timeout())?;
    let payload = if plan.has_body() {
        payload(plan, &head.headers, reader.all().await?)?
    } else if reader.next().await?.is_some() {
        return Err(Rejection::field("", "this call takes no body"));
    } else {
        Payload::Empty
    };
    plan.decode(input, payload).map(Messages::One).map_err(Rejection::violations)
}

/// Tells what a body is.
fn payload(plan: &RequestPlan, headers: &HeaderMap, text: Bytes) -> Result<Payload, Rejection> {
    if text.is_empty() {
        return Ok(Payload::Empty);
    }
    let content_type = content_type(headers);
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    let charset = parameters.find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    if charset.is_some_and(|(_, charset)| !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        return Err(unsupported(content_type));
    }
    match essence.as_str() {
        "" | "application/json" => Ok(Payload::Json(text)),
        essence if essence.ends_with("+json") => Ok(Payload::Json(text)),
        // What curl calls everything that -d sends.
        "application/x-www-form-urlencoded" if plan.is_lenient() && looks_like_json(&text) => Ok(Payload::Json(text)),
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

fn refuse_encoding(headers: &HeaderMap) -> Result<(), Rejection> {
    let encoding = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
    if encoding.is_none() {
        return Ok(());
    }
    let message = "compressed request bodies are not read; send it as it is";
    let mut rejection = Rejection::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message);
    rejection.headers.push((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    Err(rejection)
}

/// Path and query go into the first message, with the first piece of the body.
async fn upload(
    binding: &Binding,
    input: Input<'_>,
    content_type: String,
    mut reader: BodyReader,
) -> Result<Messages, Rejection> {
    let plan = &binding.request;
    if !binding.method.client_streaming {
        let data = reader.all().await?;
        let payload = Payload::Raw(HttpBody { content_type, data });
        return plan.decode(input, payload).map(Messages::One).map_err(Rejection::violations);
    }
    let data = reader.piece(PIECE_BYTES_MIN, PIECE_BYTES_MAX).await?.unwrap_or_default();
    let first = plan.decode(input, Payload::Raw(HttpBody { content_type, data })).map_err(Rejection::violations)?;
    let (report, broken) = oneshot::channel();
    let cut = CancellationToken::new();
    let rest = rest(plan.clone(), reader, report, cut.clone());
    Ok(Messages::Pieces(Pieces { stream: stream::iter([first]).chain(rest).boxed(), broken, cut }))
}

fn rest(
    plan: RequestPlan,
    reader: BodyReader,
    report: oneshot::Sender<Rejection>,
    cut: CancellationToken,
) -> impl Stream<Item = Bytes> {
    stream::unfold((plan, reader, report, cut), async |(plan, mut reader, mut report, cut)| {
        let piece = tokio::select! {
            piece = reader.piece(PIECE_BYTES_MIN, PIECE_BYTES_MAX) => Some(piece),
            // The client has left, or has been answered.
            () = report.closed() => None,
        };
        match piece {
            Some(Ok(piece)) => return Some((plan.piece(piece?), (plan, reader, report, cut))),
            Some(Err(rejection)) => drop(report.send(rejection)),
            None => {}
        }
        cut.cancel();
        std::future::pending().await
    })
}
