//! One WebSocket from its first frame to its last. Frames are read only while the backend takes messages, and messages
//! only while the client takes frames.
//!
//! It closes with 1000 when the call went well, 1001 when the edge shuts down, 1003 for a binary frame where JSON is
//! spoken, 1009 for a frame that is too large, and 4000 + n when the call ended with gRPC code n: with 8 also where all
//! frames together are too large. A client that answers no ping, or takes no frame for as long, is gone. When the client
//! closes or is gone, the call is cancelled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::buffered::Buffered;
use crate::call::{self, Bounds, Replied, Replies, Reply, bounded};
use crate::codec::{Payload, RequestPlan, ResponsePlan};
use crate::decode::{Messages, Piece, Pieces, Sequence, Source};
use crate::encode::unreadable;
use crate::errors;
use crate::load::Method;
use crate::record::Record;
use crate::rejection::Rejection;

/// How long a client has to answer the last frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Frames are read in pieces of at most this. What is in the last one of the next frame goes along with the present.
const READ_BYTES_MAX: usize = 16 << 10;
/// What a close frame has room for.
const REASON_BYTES_MAX: usize = 123;
const CALL_FAILED: u16 = 4_000;

/// What one WebSocket is about.
pub(super) struct Session {
    pub(super) method: Arc<Method>,
    pub(super) request: Arc<RequestPlan>,
    pub(super) response: ResponsePlan,
    pub(super) sequence: Sequence,
    pub(super) metadata: HeaderMap,
    pub(super) deadline: Instant,
    pub(super) closing: CancellationToken,
    /// How often the client is pinged, and how long it has to answer, or to take a frame.
    pub(super) ping: Duration,
    pub(super) frame_bytes_max: usize,
    pub(super) message_bytes_max: usize,
    /// Of all that the client says.
    pub(super) upload_bytes_max: u64,
    /// What of it was read and is in no message yet.
    pub(super) buffered: Buffered,
    pub(super) errors: Arc<errors::Writer>,
}

/// How it ended.
enum End {
    Done,
    Failed(Rejection),
    Closed(CloseCode, Status),
    Left,
}

/// The call, as far as it has come.
enum Calling {
    /// Waits for its one message.
    Not,
    Begun(BoxFuture<'static, Result<Reply, Rejection>>),
    Answered(Option<Bytes>),
    Answering(Replies),
}

impl Calling {
    /// The next message; `None` at the end. Cancel safe.
    async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        loop {
            match self {
                Self::Not => std::future::pending().await,
                Self::Begun(reply) => {
                    *self = match reply.await?.messages {
                        Replied::One(message) => Self::Answered(Some(message)),
                        Replied::Stream(replies) => Self::Answering(replies),
                    }
                }
                Self::Answered(message) => return Ok(message.take()),
                Self::Answering(replies) => return replies.next().await,
            }
        }
    }
}

/// Messages as the session hands them on: `None` is the end, and no more than that a client that left.
struct Fed(mpsc::Receiver<Option<Piece>>);

impl Source for Fed {
    async fn next(&mut self) -> Result<Option<Piece>, Rejection> {
        self.0.recv().await.ok_or_else(|| Rejection::new(Status::cancelled("the client has left")))
    }
}

/// To the backend; dropped without an end, it breaks the call off.
type Feed = mpsc::Sender<Option<Piece>>;

/// What the client has said.
struct Said {
    /// Read, and not taken by the backend yet.
    waiting: Option<Option<Piece>>,
    /// Whether there may be more.
    open: bool,
    bytes_left: u64,
}

/// A stream of which all that is read counts among what requests hold, and says when that is too much: a frame that has
/// not come to its end is seen nowhere else.
fn counted<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    buffered: Buffered,
) -> (impl AsyncRead + AsyncWrite + Unpin, oneshot::Receiver<Rejection>) {
    let (refuse, refused) = oneshot::channel();
    let mut refuse = Some(refuse);
    let count = move |data: &[u8]| {
        if let Err(rejection) = buffered.add(data.len() as u64) {
            refuse.take().map(|refuse| refuse.send(rejection));
        }
    };
    (InspectReader::new(stream, count), refused)
}

impl Session {
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S, mut record: Record) {
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.frame_bytes_max))
            .max_frame_size(Some(self.frame_bytes_max))
            .read_buffer_size(READ_BYTES_MAX);
        let (stream, refused) = counted(stream, self.buffered.clone());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let end = self.converse(&mut socket, refused, &mut record).await;
        let (code, reason) = match end {
            End::Done => (CloseCode::Normal, String::new()),
            End::Closed(code, status) => {
                let reason = status.message().to_owned();
                record.refused(&Rejection::new(status));
                (code, reason)
            }
            End::Left => {
                // Its close frame is answered, if it sent one.
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.flush()).await;
                return;
            }
            End::Failed(rejection) => {
                record.refused(&rejection);
                let error = self.errors.element(&rejection.status);
                if let Ok(text) = Utf8Bytes::try_from(error) {
                    let _ = tokio::time::timeout(self.ping, socket.send(Message::Text(text))).await;
                }
                let code = CALL_FAILED + u16::try_from(i32::from(rejection.status.code())).unwrap_or_default();
                (CloseCode::from(code), rejection.status.message().to_owned())
            }
        };
        let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].into();
        let close = async {
            let _ = socket.send(Message::Close(Some(CloseFrame { code, reason }))).await;
            // Until the client has said the same, or what was sent could be lost with the connection.
            while let Some(Ok(_)) = socket.next().await {}
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, close).await;
        record.over();
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocketStream<S>,
        mut refused: oneshot::Receiver<Rejection>,
        record: &mut Record,
    ) -> End {
        let (mut calling, mut said, feed) = match self.begin() {
            Ok(begun) => begun,
            Err(rejection) => return End::Failed(rejection),
        };
        let mut ends = bounded::end(self.deadline, Some(self.closing.clone()));
        let mut pings = tokio::time::interval_at(Instant::now() + self.ping, self.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alive = true;
        loop {
            let outgoing = tokio::select! {
                // What ends it first: a backend that always has a message ready would otherwise never be stopped.
                biased;
                Some(end) = ends.next() => match end {
                    bounded::End::Drain => return End::Closed(CloseCode::Away, end.into()),
                    bounded::End::Deadline => return End::Failed(Rejection::backend(end.into())),
                },
                Ok(rejection) = &mut refused => return End::Failed(rejection),
                _ = pings.tick() => {
                    // While nothing is read, no answer can be seen.
                    if !alive && said.waiting.is_none() {
                        return End::Left;
                    }
                    alive = false;
                    Message::Ping(Bytes::new())
                }
                Ok(place) = feed.reserve(), if said.waiting.is_some() => {
                    if let Some(message) = said.waiting.take() {
                        place.send(message);
                    }
                    continue;
                }
                frame = socket.next(), if said.waiting.is_none() => {
                    alive = true;
                    match self.take(frame, &mut said, &mut calling) {
                        Ok(()) => continue,
                        Err(end) => return end,
                    }
                }
                reply = calling.next() => match reply.map(|message| message.map(|message| self.frame(message))) {
                    Ok(None) => return End::Done,
                    Ok(Some(Ok(frame))) => frame,
                    Ok(Some(Err(rejection))) | Err(rejection) => return End::Failed(rejection),
                },
            };
            record.sent(outgoing.len());
            match tokio::time::timeout(self.ping, socket.send(outgoing)).await {
                Ok(Ok(())) => {}
                _ => return End::Left,
            }
        }
    }

    /// Makes the call, unless it waits for a message of the client's.
    fn begin(&mut self) -> Result<(Calling, Said, Feed), Rejection> {
        let (feed, fed) = mpsc::channel(1);
        let at_once = !self.request.has_body();
        let first = at_once.then(|| self.sequence.message(Payload::Empty)).transpose()?;
        let open = self.method.client_streaming || !at_once;
        if at_once {
            self.sequence.go_on();
        }
        let calling = match (self.method.client_streaming, first) {
            (true, first) => self.call(Messages::Pieces(Pieces::new(first, Fed(fed)))),
            (false, Some(message)) => self.call(Messages::One(message)),
            (false, None) => Calling::Not,
        };
        Ok((calling, Said { waiting: None, open, bytes_left: self.upload_bytes_max }, feed))
    }

    fn call(&self, messages: Messages) -> Calling {
        let (method, metadata) = (self.method.clone(), self.metadata.clone());
        let bounds = Bounds { message_bytes_max: self.message_bytes_max, deadline: self.deadline, closing: None };
        let held = self.buffered.split(0);
        Calling::Begun(Box::pin(async move {
            let _held = held;
            call::call(&method, bounds, metadata, messages).await
        }))
    }

    /// Takes a frame of the client's.
    fn take(
        &mut self,
        frame: Option<Result<Message, Error>>,
        said: &mut Said,
        calling: &mut Calling,
    ) -> Result<(), End> {
        let length = frame.as_ref().and_then(|frame| frame.as_ref().ok()).map_or(0, Message::len) as u64;
        match said.bytes_left.checked_sub(length) {
            Some(left) => said.bytes_left = left,
            None => return Err(End::Failed(Rejection::too_large(self.upload_bytes_max))),
        }
        let payload = match &frame {
            Some(Ok(Message::Text(text))) if text.is_empty() => None,
            Some(Ok(Message::Text(text))) if !self.request.is_raw() => Some(Payload::Json(text.as_bytes())),
            Some(Ok(Message::Binary(data))) if self.request.is_raw() => Some(Payload::Raw { content_type: "", data }),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                let problem = Status::invalid_argument("JSON is text, and raw bytes are binary");
                return Err(End::Closed(CloseCode::Unsupported, problem));
            }
            Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) | None => return Err(End::Left),
            Some(Ok(_)) => return Ok(()),
            Some(Err(Error::Capacity(_))) => {
                let problem = Status::resource_exhausted("the message is too large");
                return Err(End::Closed(CloseCode::Size, problem));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a WebSocket broke");
                return Err(End::Left);
            }
        };
        if !said.open {
            let problem = Status::invalid_argument("no more messages are taken");
            return Err(End::Failed(Rejection::new(problem)));
        }
        let message = payload.map(|payload| self.sequence.message(payload)).transpose().map_err(End::Failed)?;
        said.open = self.method.client_streaming && message.is_some();
        match message {
            Some(message) if !self.method.client_streaming => *calling = self.call(Messages::One(message)),
            message if self.method.client_streaming => {
                said.waiting = Some(message.map(|message| (message, self.buffered.split(0))));
            }
            _ => return Err(End::Failed(Rejection::new(Status::invalid_argument("a message is expected")))),
        }
        Ok(())
    }

    fn frame(&self, message: Bytes) -> Result<Message, Rejection> {
        let unreadable = |error| Rejection::backend(unreadable(error));
        match &self.response {
            ResponsePlan::Raw(plan) => Ok(Message::Binary(plan.body(&message).map_err(unreadable)?.data)),
            ResponsePlan::Json(plan) => Utf8Bytes::try_from(plan.text(&message).map_err(unreadable)?)
                .map(Message::Text)
                .map_err(|_| Rejection::backend(Status::internal("the backend's answer cannot be read"))),
        }
    }
}
