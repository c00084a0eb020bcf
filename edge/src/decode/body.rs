//! Reading a request's body: never more than its cap, never waiting longer than its pause.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::StatusCode;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::buffered::Buffered;
use crate::rejection::Rejection;

/// A body and what remains of its cap.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Body,
    bytes_max: u64,
    bytes_left: u64,
    idle: Duration,
    buffered: Buffered,
}

/// Bytes that come bit by bit.
pub(crate) trait Chunks: Send + 'static {
    /// The next bytes, never empty; `None` at the end.
    ///
    /// # Errors
    /// 408 when none came in time, 413 over the cap, 429 and 503 over those of the client's requests and of all, 400 when
    /// the body is malformed or was cut off.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Rejection>> + Send;

    /// What is held of the bytes given out, but for the last `ahead`, of which no message was made yet.
    fn split(&self, ahead: usize) -> Buffered;
}

impl BodyReader {
    /// What is read counts among what requests hold.
    ///
    /// # Errors
    /// 413 at once when the body's declared length is over the cap.
    pub(crate) fn new(body: Body, bytes_max: u64, idle: Duration, buffered: &Buffered) -> Result<Self, Rejection> {
        if body.size_hint().lower() > bytes_max {
            return Err(Rejection::too_large(bytes_max));
        }
        Ok(Self { body, bytes_max, bytes_left: bytes_max, idle, buffered: buffered.clone() })
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Chunks::next`].
    pub(crate) async fn all(&mut self) -> Result<Bytes, Rejection> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(data) = self.next().await? {
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    fn unreadable(error: &Status) -> Rejection {
        tracing::debug!(%error, "a request's body could not be read");
        if error.code() == Code::ResourceExhausted {
            return Rejection::http(StatusCode::PAYLOAD_TOO_LARGE, error.code(), error.message());
        }
        Rejection::new(Status::invalid_argument("the body is malformed or was cut off"))
    }

    fn stalled(&self) -> Rejection {
        let message = format!("no part of the body came for {} ms", self.idle.as_millis());
        Rejection::http(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message)
    }
}

impl Chunks for BodyReader {
    async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        loop {
            // What was decoded may be there without end, and nothing that waits for it would ever wait.
            tokio::task::consume_budget().await;
            let frame = tokio::time::timeout(self.idle, self.body.frame()).await.map_err(|_| self.stalled())?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| Self::unreadable(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = data.len() as u64;
            self.bytes_left =
                self.bytes_left.checked_sub(length).ok_or_else(|| Rejection::too_large(self.bytes_max))?;
            self.buffered.add(length)?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    fn split(&self, ahead: usize) -> Buffered {
        self.buffered.split(ahead)
    }
}

/// Bytes in pieces of a size.
#[derive(Debug)]
pub(crate) struct Gathered<C> {
    chunks: C,
    /// What was read beyond the last piece.
    ahead: BytesMut,
}

impl<C: Chunks> Gathered<C> {
    pub(crate) fn new(chunks: C) -> Self {
        Self { chunks, ahead: BytesMut::new() }
    }

    /// The next piece: at least `bytes_min` but for the last one, at most `bytes_max`; `None` at the end.
    ///
    /// # Errors
    /// As [`Chunks::next`].
    pub(crate) async fn piece(&mut self, bytes_min: usize, bytes_max: usize) -> Result<Option<Bytes>, Rejection> {
        while self.ahead.len() < bytes_min {
            match self.chunks.next().await? {
                Some(data) => self.ahead.extend_from_slice(&data),
                None => break,
            }
        }
        let length = self.ahead.len().min(bytes_max);
        Ok(Some(self.ahead.split_to(length).freeze()).filter(|piece| !piece.is_empty()))
    }

    /// As [`Chunks::split`], of the pieces.
    pub(super) fn split(&self) -> Buffered {
        self.chunks.split(self.ahead.len())
    }
}

impl Gathered<BodyReader> {
    /// What comes behind the pieces. It is held, as all that came before, until it is dropped.
    pub(crate) fn rest(self) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send {
        stream::unfold(self.chunks, async |mut reader| match reader.next().await {
            Ok(data) => Some((Ok(Frame::data(data?)), reader)),
            Err(rejection) => Some((Err(rejection.status), reader)),
        })
    }
}
