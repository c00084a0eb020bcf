//! Server streams: each message is sent on as it comes, at constant memory, as fast as the client reads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::OptionFuture;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tonic::body::Body;
use tonic::{Code, Status};

use super::frame::Format;
use super::{Answer, media_type, unreadable};
use crate::call::{Replies, headers};
use crate::codec::{JsonPlan, RawPlan};
use crate::errors;
use crate::rejection::Rejection;

/// How long a stream's status line may wait for its first message. An error within it still becomes an HTTP status; a
/// quiet stream is opened after it, so that its client knows it is connected.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_millis(200);

/// What a stream has for its client besides its messages.
pub(crate) struct Terms {
    pub(crate) heartbeat: Duration,
    pub(crate) errors: Arc<errors::Writer>,
    /// Where to say that it failed.
    pub(crate) failed: Arc<OnceLock<Code>>,
    /// Whether the client takes trailers; they are lost on those that do not.
    pub(crate) trailers: bool,
}

/// Messages from a backend, and what came after them.
struct Messages {
    replies: Replies,
    terms: Terms,
    /// What came after the last message, good or bad.
    trailers: HeaderMap,
}

impl Messages {
    fn new(replies: Replies, terms: Terms) -> Self {
        Self { replies, terms, trailers: HeaderMap::new() }
    }

    /// The next message; `None` at the end. Cancel safe.
    async fn next(&mut self) -> Option<Result<Bytes, Rejection>> {
        let next = self.replies.next().await.transpose();
        match &next {
            None => headers::from_metadata(&self.replies.trailers(), &mut self.trailers),
            Some(Err(rejection)) => headers::from_metadata(rejection.status.metadata().as_ref(), &mut self.trailers),
            Some(Ok(_)) => {}
        }
        next
    }

    /// The last frame of the answer, if there is something to say and somebody to hear it.
    fn last(&mut self) -> Option<Frame<Bytes>> {
        let trailers = std::mem::take(&mut self.trailers);
        (self.terms.trailers && !trailers.is_empty()).then(|| Frame::trailers(trailers))
    }

    /// The first message, if it comes soon.
    async fn first(&mut self) -> Result<First, Rejection> {
        match tokio::time::timeout(FIRST_MESSAGE_WAIT, self.next()).await {
            Err(_) => Ok(First::Late),
            Ok(None) => Ok(First::End),
            Ok(Some(Ok(message))) => Ok(First::Message(message)),
            Ok(Some(Err(rejection))) => Err(rejection),
        }
    }
}

enum First {
    Message(Bytes),
    End,
    Late,
}

/// A stream of JSON values.
pub(super) async fn json(
    plan: JsonPlan,
    success: StatusCode,
    format: Format,
    replies: Replies,
    terms: Terms,
) -> Result<Answer, Rejection> {
    let mut messages = Messages::new(replies, terms);
    let waiting = match messages.first().await? {
        First::Message(message) => Some(Some(element(&plan, format, &message, true).map_err(Rejection::backend)?)),
        First::End => Some(None),
        First::Late => None,
    };
    let pulse = format.heartbeat().map(|_| {
        let pause = messages.terms.heartbeat;
        let mut pulse = tokio::time::interval_at(Instant::now() + pause, pause);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pulse
    });
    let writer = Writer { plan, format, messages, waiting, pulse, written: 0, stage: Stage::Open };
    let frames = stream::unfold(writer, async |mut writer| {
        let frame = writer.frame().await?;
        Some((Ok::<_, Status>(frame), writer))
    });
    let mut head = HeaderMap::new();
    head.insert(header::CONTENT_TYPE, format.content_type());
    Ok(Answer { status: success, headers: head, body: Body::new(StreamBody::new(frames)) })
}

struct Writer {
    plan: JsonPlan,
    format: Format,
    messages: Messages,
    /// What the wait for the first message gave: its element, or the end.
    waiting: Option<Option<Bytes>>,
    /// When to send a heartbeat if nothing else is there. Messages do not put it off: that would set a timer for each.
    pulse: Option<Interval>,
    written: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Elements,
    Close,
    Trailers,
    Done,
}

impl Writer {
    /// What to send next; `None` when all is said.
    async fn frame(&mut self) -> Option<Frame<Bytes>> {
        loop {
            let chunk = match self.stage {
                Stage::Open => {
                    self.stage = Stage::Elements;
                    self.format.open()
                }
                Stage::Elements => self.element().await,
                Stage::Close => {
                    self.stage = Stage::Trailers;
                    self.format.close()
                }
                Stage::Trailers => {
                    self.stage = Stage::Done;
                    return self.messages.last();
                }
                Stage::Done => return None,
            };
            if !chunk.is_empty() {
                return Some(Frame::data(chunk));
            }
        }
    }

    async fn element(&mut self) -> Bytes {
        let first = self.written == 0;
        let message = match self.waiting.take() {
            Some(Some(element)) => {
                self.written += 1;
                return element;
            }
            Some(None) => None,
            None => tokio::select! {
                biased;
                message = self.messages.next() => message,
                Some(_) = OptionFuture::from(self.pulse.as_mut().map(Interval::tick)) => {
                    return self.format.heartbeat().unwrap_or_default();
                }
            },
        };
        self.written += 1;
        let Some(message) = message else {
            self.stage = Stage::Close;
            return Bytes::new();
        };
        let message = message.map_err(|rejection| rejection.status);
        let written = message.and_then(|message| element(&self.plan, self.format, &message, first));
        written.unwrap_or_else(|status| {
            self.stage = Stage::Close;
            // Set once: this is the last element.
            let _ = self.messages.terms.failed.set(status.code());
            self.format.error(&self.messages.terms.errors.element(&status), first)
        })
    }
}

fn element(plan: &JsonPlan, format: Format, message: &Bytes, first: bool) -> Result<Bytes, Status> {
    let text = plan.text(message).map_err(unreadable)?;
    Ok(format.element(&text, plan.event_id(message), first))
}

/// A stream of raw bytes. Its type comes from the first message; a later failure cuts the transfer off, which is all
/// that raw bytes can say.
pub(super) async fn raw(
    plan: RawPlan,
    success: StatusCode,
    replies: Replies,
    terms: Terms,
) -> Result<Answer, Rejection> {
    let mut messages = Messages::new(replies, terms);
    let first = messages.next().await.transpose()?;
    let first = first.map(|message| plan.body(&message).map_err(unreadable)).transpose().map_err(Rejection::backend)?;
    let mut head = HeaderMap::new();
    if let Some(first) = &first {
        head.insert(header::CONTENT_TYPE, media_type(first));
    }
    let rest = stream::unfold((plan, Some(messages)), async |(plan, messages)| {
        let mut messages = messages?;
        let Some(next) = messages.next().await else { return Some((Ok(messages.last()?), (plan, None))) };
        let next =
            next.map_err(|rejection| rejection.status).and_then(|message| plan.body(&message).map_err(unreadable));
        Some((next.map(|piece| Frame::data(piece.data)), (plan, Some(messages))))
    });
    let all = stream::iter(first.map(|piece| Ok(Frame::data(piece.data)))).chain(rest);
    Ok(Answer { status: success, headers: head, body: Body::new(StreamBody::new(all)) })
}
