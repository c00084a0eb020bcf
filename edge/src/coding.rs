//! Content codings (RFC 9110 8.4) both ways, at constant memory: request bodies are decoded as they are read, answers
//! encoded as they are sent. What a decoded body may come to is the affair of whoever reads it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;

use async_compression::Level;
use async_compression::tokio::bufread::{
    BrotliDecoder, BrotliEncoder, GzipDecoder, GzipEncoder, ZlibDecoder, ZstdDecoder, ZstdEncoder,
};
use async_compression::{brotli, zstd};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, BodyStream, LengthLimitError, Limited, StreamBody};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::{ReaderStream, StreamReader};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::elements::{self, essence};
use crate::encode::Answer;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

/// More than this is never honest, and each multiplies what a few bytes can become.
const NESTED_MAX: usize = 2;
/// A body is at most so many times as long decoded as it came, ...
const RATIO_MAX: u64 = 100;
/// ... unless it is no longer than this.
const RATIO_FREE_BYTES: u64 = 64 << 10;
/// Beginning one costs as much as kilobytes of data, and it may be empty.
const GZIP_MEMBERS_MAX: usize = 10_000;
/// What a coder puts out at once.
const PIECE_BYTES: usize = 16 << 10;
/// The largest window of zstd over HTTP (RFC 9659): 8 MiB.
const ZSTD_DECODER_WINDOW_LOG_MAX: u32 = 23;
/// Windows of encoders, of which there may be one for each request: 128 KiB.
const ENCODER_WINDOW_LOG: u8 = 17;
const GZIP_LEVEL: Level = Level::Precise(4);
const BROTLI_LEVEL: Level = Level::Precise(4);
const ZSTD_LEVEL: Level = Level::Precise(3);

/// What request bodies may be encoded with.
const READ: HeaderValue = HeaderValue::from_static("zstd, br, gzip, deflate");

const VARIES: HeaderValue = HeaderValue::from_static("accept-encoding");

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
    /// `deflate`, which is zlib's format. Only read.
    Zlib,
}

impl Coding {
    /// Those that answers are written in, the best first.
    pub(crate) const WRITTEN: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "zstd" => Some(Self::Zstd),
            "br" => Some(Self::Brotli),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Zlib),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Zlib => "deflate",
        }
    }

    fn decoder(self, encoded: impl AsyncBufRead + Unpin + Send + 'static) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Zstd => {
                let window = zstd::DParameter::window_log_max(ZSTD_DECODER_WINDOW_LOG_MAX);
                let mut decoder = ZstdDecoder::with_params(encoded, &[window]);
                decoder.multiple_members(true);
                pieces(decoder).boxed()
            }
            Self::Brotli => members(encoded, BrotliDecoder::new, BrotliDecoder::into_inner, 1).boxed(),
            Self::Gzip => members(encoded, GzipDecoder::new, GzipDecoder::into_inner, GZIP_MEMBERS_MAX).boxed(),
            Self::Zlib => members(encoded, ZlibDecoder::new, ZlibDecoder::into_inner, 1).boxed(),
        }
    }

    /// Flushes whatever it has when there is nothing more to read for now: each message of a stream is sent at once.
    fn encoder(self, plain: impl AsyncBufRead + Send + 'static) -> Pin<Box<dyn AsyncRead + Send>> {
        match self {
            Self::Zstd => {
                let window = zstd::CParameter::window_log(ENCODER_WINDOW_LOG.into());
                Box::pin(ZstdEncoder::with_quality_and_params(plain, ZSTD_LEVEL, &[window]))
            }
            Self::Brotli => {
                let params = brotli::EncoderParams::default().quality(BROTLI_LEVEL);
                Box::pin(BrotliEncoder::with_params(plain, params.window_size(ENCODER_WINDOW_LOG.into())))
            }
            Self::Gzip | Self::Zlib => Box::pin(GzipEncoder::with_quality(plain, GZIP_LEVEL)),
        }
    }
}

/// A request's body without its content codings. Neither as it came nor in between is it longer than `bytes_max`, nor does
/// it ever grow beyond all measure, or reading it fails with RESOURCE_EXHAUSTED; how long it is in the end is for the
/// reader to watch.
///
/// # Errors
/// 415 with `Accept-Encoding` for codings that are not known, and for more than two.
pub(crate) fn decoded(headers: &HeaderMap, body: Body, bytes_max: u64) -> Result<Body, Rejection> {
    let names = elements::of(headers, header::CONTENT_ENCODING).filter(|name| !name.eq_ignore_ascii_case("identity"));
    let codings = names.map(|name| Coding::named(name).ok_or_else(|| unsupported(&format!("{name:?} is not known"))));
    let codings = codings.collect::<Result<Vec<_>, _>>()?;
    if codings.is_empty() {
        return Ok(body);
    }
    if codings.len() > NESTED_MAX {
        return Err(unsupported(&format!("more than {NESTED_MAX} of them are not undone")));
    }
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let came = Arc::new(AtomicU64::new(0));
    let counted = came.clone();
    let body = Body::new(body.map_frame(move |frame| {
        let length = frame.data_ref().map_or(0, Bytes::len);
        counted.fetch_add(length as u64, Ordering::Relaxed);
        frame
    }));
    Ok(codings.iter().rev().fold(body, |encoded, coding| {
        let limited = Limited::new(encoded, bytes_max).map_err(move |error| match error.is::<LengthLimitError>() {
            true => io::Error::other(Rejection::too_large(bytes_max as u64).status),
            false => io::Error::other(error),
        });
        let data = limited.into_data_stream();
        streamed(measured(coding.decoder(StreamReader::new(data)), came.clone()))
    }))
}

/// What is decoded, as long as it is in proportion to what came.
fn measured(
    decoded: impl Stream<Item = io::Result<Bytes>>,
    came: Arc<AtomicU64>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let mut length = 0;
    decoded.map(move |piece| {
        let piece = piece?;
        length += piece.len() as u64;
        if length > RATIO_FREE_BYTES.max(came.load(Ordering::Relaxed).saturating_mul(RATIO_MAX)) {
            let message = format!("the body is more than {RATIO_MAX} times as long decoded as it came");
            return Err(io::Error::other(Status::resource_exhausted(message)));
        }
        Ok(piece)
    })
}

/// What is decoded by one decoder after another: nothing else may follow what the first one takes for its own.
fn members<E, D>(
    encoded: E,
    begin: fn(E) -> D,
    end: fn(D) -> E,
    members_max: usize,
) -> impl Stream<Item = io::Result<Bytes>>
where
    E: AsyncBufRead + Unpin,
    D: AsyncRead + Unpin,
{
    stream::try_unfold((begin(encoded), 1), move |(mut decoder, mut members)| async move {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        loop {
            if decoder.read_buf(&mut piece).await? > 0 {
                return Ok(Some((piece.freeze(), (decoder, members))));
            }
            let mut rest = end(decoder);
            if rest.fill_buf().await?.is_empty() {
                return Ok(None);
            }
            if members == members_max {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "something follows the end of what was encoded",
                ));
            }
            (decoder, members) = (begin(rest), members + 1);
        }
    })
}

/// Encodes an answer for a client that takes `coding`, where that is worth it: text, of unknown length or at least
/// `bytes_min`, not encoded yet.
pub(crate) fn encoded(mut answer: Answer, coding: Option<Coding>, bytes_min: u64) -> Answer {
    if !is_compressible(&answer) || answer.body.size_hint().upper().is_some_and(|bytes| bytes < bytes_min) {
        return answer;
    }
    let Some(coding) = coding else {
        answer.headers.append(header::VARY, VARIES);
        return answer;
    };
    tell(&mut answer.headers, coding);
    let (plain, trailers) = parted(answer.body);
    let encoded = BodyStream::new(streamed(pieces(coding.encoder(StreamReader::new(plain)))));
    let last = stream::poll_fn(move |_| Poll::Ready(trailers.try_recv().ok()));
    let frames = encoded.chain(last.map(|trailers| Ok(Frame::trailers(trailers))));
    Answer { body: Body::new(StreamBody::new(frames)), ..answer }
}

/// A body's data, and what comes after it once that was read: only data can be encoded.
fn parted(body: Body) -> (impl Stream<Item = io::Result<Bytes>> + Send, mpsc::Receiver<HeaderMap>) {
    let (give, trailers) = mpsc::channel();
    let frames = BodyStream::new(body.map_err(io::Error::other));
    let data = frames.try_filter_map(move |frame| {
        let data = frame.into_data().map_err(|frame| frame.into_trailers().map(|trailers| give.send(trailers)));
        std::future::ready(Ok(data.ok()))
    });
    (data, trailers)
}

/// The same for bytes that are asked for again and again, to be kept. It waits for nothing, and gives no thread back before
/// it is done.
///
/// # Errors
/// The encoder's.
pub(crate) async fn packed(coding: Coding, plain: &Bytes) -> io::Result<Bytes> {
    let mut packed = Vec::new();
    coding.encoder(io::Cursor::new(plain.clone())).read_to_end(&mut packed).await?;
    Ok(packed.into())
}

/// Says how an answer is encoded.
pub(crate) fn tell(headers: &mut HeaderMap, coding: Coding) {
    headers.append(header::VARY, VARIES);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(header::CONTENT_LENGTH);
    // The bytes are no longer those that a strong one stands for (RFC 9110 8.8.3).
    let strong = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    if let Some(weak) = strong.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()) {
        headers.insert(header::ETAG, weak);
    }
}

/// The coding a client likes best (RFC 9110 12.5.3); `None` when it likes none better than the bytes as they are.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let ranges: Vec<_> = elements::weighted(headers, header::ACCEPT_ENCODING).collect();
    let quality = |name: &str| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name)).map(|range| range.1);
    let identity = quality("identity").unwrap_or(0.0);
    let likings = Coding::WRITTEN.map(|coding| (coding, quality(coding.name()).or(quality("*")).unwrap_or(0.0)));
    let liked = likings.into_iter().filter(|(_, quality)| *quality > 0.0 && *quality >= identity);
    // Of equals the first.
    liked.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(coding, _)| coding)
}

/// Text, and nothing that says it must stay as it is.
fn is_compressible(answer: &Answer) -> bool {
    let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = essence(text(header::CONTENT_TYPE));
    let is_text = content_type.starts_with("text/")
        || content_type.ends_with("+json")
        || content_type.ends_with("+xml")
        || content_type.ends_with("+yaml")
        || matches!(
            &*content_type,
            "application/json"
                | "application/x-ndjson"
                | "application/xml"
                | "application/yaml"
                | "application/javascript"
        );
    let bound = [header::CONTENT_ENCODING, header::CONTENT_RANGE];
    is_text
        && answer.status != StatusCode::PARTIAL_CONTENT
        && !bound.iter().any(|name| answer.headers.contains_key(name))
        && !text(header::CACHE_CONTROL).contains("no-transform")
}

fn pieces(reader: impl AsyncRead + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send {
    ReaderStream::with_capacity(reader, PIECE_BYTES)
}

fn streamed(data: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    Body::new(StreamBody::new(data.map_ok(Frame::data).map_err(failure)))
}

/// The status that was inside, if there was one.
fn failure(error: io::Error) -> Status {
    error.downcast::<Status>().unwrap_or_else(|error| Status::invalid_argument(error.to_string()))
}

fn unsupported(problem: &str) -> Rejection {
    let message = format!("Content-Encoding: {problem}; the body may be sent with zstd, br, gzip or deflate");
    let mut rejection = Rejection::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message);
    rejection.headers.push((header::ACCEPT_ENCODING, READ));
    rejection
}
