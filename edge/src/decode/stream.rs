//! Streams of messages, made from what a client sends while they are sent on.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::StatusCode;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::body::{BodyReader, Chunks, Gathered};
use super::values::{self, Values};
use crate::buffered::Buffered;
use crate::codec::{self, Input, Payload, RequestPlan, Violation};
use crate::rejection::Rejection;

/// A raw upload is sent on in pieces of at least this, so that a client's tiny writes do not become tiny messages.
pub(super) const PIECE_BYTES_MIN: usize = 64 << 10;
/// And of at most this.
pub(super) const PIECE_BYTES_MAX: usize = 1 << 20;

/// A stream of messages, read as it is sent on.
pub(crate) struct Pieces {
    pub(crate) stream: BoxStream<'static, Bytes>,
    /// Says why the stream broke off. Dropped, it breaks the stream off.
    pub(crate) broken: oneshot::Receiver<Rejection>,
    /// Cancelled when the stream broke off. It then never ends: a clean end would make it look complete.
    pub(crate) cut: CancellationToken,
}

/// A message, and what is held for it until the next one is asked for: by then it was passed on.
pub(crate) type Piece = (Bytes, Buffered);

/// Where messages come from.
pub(crate) trait Source: Send + 'static {
    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// What breaks the stream off.
    fn next(&mut self) -> impl Future<Output = Result<Option<Piece>, Rejection>> + Send;
}

impl Pieces {
    pub(crate) fn new(first: Option<Bytes>, source: impl Source) -> Self {
        let (report, broken) = oneshot::channel();
        let cut = CancellationToken::new();
        let rest = stream::unfold((source, report, cut.clone(), None), async |(mut source, mut report, cut, held)| {
            drop(held);
            // A piece of a body may be thousands of messages.
            tokio::task::consume_budget().await;
            let piece = tokio::select! {
                piece = source.next() => Some(piece),
                // The client has left, or has been answered.
                () = report.closed() => None,
            };
            match piece {
                Some(Ok(piece)) => {
                    let (message, held) = piece?;
                    return Some((message, (source, report, cut, Some(held))));
                }
                Some(Err(rejection)) => drop(report.send(rejection)),
                None => {}
            }
            cut.cancel();
            std::future::pending().await
        });
        Self { stream: stream::iter(first).chain(rest).boxed(), broken, cut }
    }
}

/// Nothing more.
pub(super) struct Ended;

impl Source for Ended {
    async fn next(&mut self) -> Result<Option<Piece>, Rejection> {
        Ok(None)
    }
}

/// What is left of a raw upload.
pub(super) struct Upload<C> {
    pub(super) plan: Arc<RequestPlan>,
    pub(super) data: Gathered<C>,
}

impl<C: Chunks> Source for Upload<C> {
    async fn next(&mut self) -> Result<Option<Piece>, Rejection> {
        let piece = self.data.piece(PIECE_BYTES_MIN, PIECE_BYTES_MAX).await?;
        Ok(piece.map(|piece| {
            let mut message = Vec::with_capacity(piece.len());
            self.plan.piece(&piece, &mut message);
            (message.into(), self.data.split())
        }))
    }
}

/// Makes messages one after another; path and query are the first one's.
#[derive(Debug)]
pub(crate) struct Sequence {
    plan: Arc<RequestPlan>,
    variables: Vec<String>,
    query: String,
    count: usize,
    is_first: bool,
}

impl Sequence {
    pub(crate) fn new(plan: &Arc<RequestPlan>, input: Input<'_>) -> Self {
        let (variables, query) = (input.variables.to_vec(), input.query.to_owned());
        Self { plan: plan.clone(), variables, query, count: 0, is_first: true }
    }

    /// The first message needed no body; in what comes are all of the further ones.
    pub(crate) fn go_on(&mut self) {
        (self.plan, self.count) = (Arc::new(self.plan.with_whole_body()), 0);
    }

    /// Makes the next message.
    ///
    /// # Errors
    /// 400 with field violations, whose paths begin with the message's number, from 0.
    pub(crate) fn message(&mut self, payload: Payload<'_>) -> Result<Bytes, Rejection> {
        let message = match self.is_first {
            true => codec::decode(&self.plan, Input { variables: &self.variables, query: &self.query }, payload),
            false => codec::further(&self.plan, &self.variables, payload),
        };
        let message = message.map_err(|violations| {
            let place = |Violation { field, description }| match field.as_str() {
                "" => Violation::new(self.count.to_string(), description),
                field => Violation::new(format!("{}.{field}", self.count), description),
            };
            Rejection::violations(violations.into_iter().map(place).collect())
        })?;
        (self.count, self.is_first) = (self.count + 1, false);
        Ok(message)
    }
}

/// Messages as JSON: the elements of an array, or one after another.
pub(super) struct Json {
    pub(super) sequence: Sequence,
    pub(super) reader: BodyReader,
    pub(super) values: Values,
    pub(super) ended: bool,
}

impl Source for Json {
    async fn next(&mut self) -> Result<Option<Piece>, Rejection> {
        loop {
            if let Some(value) = self.values.next(self.ended).map_err(refused)? {
                let message = self.sequence.message(Payload::Json(&value))?;
                return Ok(Some((message, self.reader.split(self.values.ahead()))));
            }
            if self.ended {
                return Ok(None);
            }
            match self.reader.next().await? {
                Some(data) => self.values.push(&data),
                None => self.ended = true,
            }
        }
    }
}

fn refused(error: values::Error) -> Rejection {
    match error {
        values::Error::TooLarge(_) => {
            Rejection::http(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, error.to_string())
        }
        error => Rejection::new(Status::invalid_argument(error.to_string())),
    }
}
