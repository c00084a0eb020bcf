//! `malla.queue.v1` in terms of the domain.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use malla_contracts::malla::queue::v1 as proto;
use malla_contracts::malla::queue::v1::queue_service_server::QueueService;
use malla_runtime::database::timestamp;
use malla_runtime::shutdown::Shutdown;
use malla_runtime::{page, wait};
use prost::Message as _;
use prost_types::Value;
use prost_types::value::Kind;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::rules::{self, Body};
use crate::store::{Delivery, Message, Messages};

const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 100;
const OK: &str = "ok";
/// Queues share bells, so that their number is bounded. A ring that wakes the receiver of another queue costs the
/// right one the time until its next look, see [`wait::until`].
const BELLS: usize = 64;

/// The gRPC service.
pub(crate) struct Service {
    messages: Arc<Messages>,
    /// Rung when a message becomes ready in this process.
    bells: [Notify; BELLS],
    shutdown: Shutdown,
}

impl Service {
    pub(crate) fn new(messages: Arc<Messages>, shutdown: Shutdown) -> Self {
        Self { messages, bells: std::array::from_fn(|_| Notify::new()), shutdown }
    }

    fn bell(&self, queue: &str) -> &Notify {
        let mut hasher = DefaultHasher::new();
        queue.hash(&mut hasher);
        &self.bells[hasher.finish() as usize % BELLS]
    }
}

#[tonic::async_trait]
impl QueueService for Service {
    async fn push(&self, request: Request<proto::PushRequest>) -> Result<Response<proto::PushResponse>, Status> {
        let request = request.into_inner();
        let (queue, body) = (rules::queue(request.queue)?, Body::new(request.body.as_ref())?);
        let (key, delay_ms) = (rules::key(&request.idempotency_key)?, rules::delay(request.delay_ms)?);
        let id = self.messages.push(&queue, body, key, delay_ms).await?;
        self.bell(&queue).notify_one();
        Ok(Response::new(proto::PushResponse { status: OK.into(), id }))
    }

    async fn pop(&self, request: Request<proto::PopRequest>) -> Result<Response<proto::PopResponse>, Status> {
        let queue = rules::queue(request.into_inner().queue)?;
        let (id, body) = match self.messages.pop(&queue).await? {
            Some(message) => (message.id, value(&message.body)?),
            None => (String::new(), Value { kind: Some(Kind::NullValue(0)) }),
        };
        Ok(Response::new(proto::PopResponse { status: OK.into(), body: Some(body), id }))
    }

    async fn count(&self, request: Request<proto::CountRequest>) -> Result<Response<proto::CountResponse>, Status> {
        let queue = rules::queue(request.into_inner().queue)?;
        let ready = self.messages.count(&queue).await?;
        Ok(Response::new(proto::CountResponse { count: i32::try_from(ready).unwrap_or(i32::MAX) }))
    }

    async fn receive(
        &self,
        request: Request<proto::ReceiveRequest>,
    ) -> Result<Response<proto::ReceiveResponse>, Status> {
        let request = request.into_inner();
        let (queue, limit) = (rules::queue(request.queue)?, rules::count(request.max_messages)?);
        let visibility_ms = rules::visibility(request.visibility_ms)?;
        let wait = Duration::from_millis(rules::wait(request.wait_ms)?);
        let look = || self.messages.receive(&queue, limit, visibility_ms);
        let some = |messages: &Vec<Message>| !messages.is_empty();
        let received = wait::until(self.bell(&queue), wait, &self.shutdown, look, some).await?;
        let messages = received.into_iter().map(leased).collect::<Result<_, Error>>()?;
        Ok(Response::new(proto::ReceiveResponse { messages }))
    }

    async fn ack(&self, request: Request<proto::AckRequest>) -> Result<Response<proto::AckResponse>, Status> {
        let proto::AckRequest { queue, id, receipt } = request.into_inner();
        self.messages.ack(&Delivery { queue: rules::queue(queue)?, id, receipt }).await?;
        Ok(Response::new(proto::AckResponse {}))
    }

    async fn nack(&self, request: Request<proto::NackRequest>) -> Result<Response<proto::NackResponse>, Status> {
        let proto::NackRequest { queue, id, receipt, delay_ms } = request.into_inner();
        let delivery = Delivery { queue: rules::queue(queue)?, id, receipt };
        self.messages.nack(&delivery, rules::delay(delay_ms)?).await?;
        self.bell(&delivery.queue).notify_one();
        Ok(Response::new(proto::NackResponse {}))
    }

    async fn extend(&self, request: Request<proto::ExtendRequest>) -> Result<Response<proto::ExtendResponse>, Status> {
        let proto::ExtendRequest { queue, id, receipt, visibility_ms } = request.into_inner();
        let delivery = Delivery { queue: rules::queue(queue)?, id, receipt };
        let end = self.messages.extend(&delivery, rules::extension(visibility_ms)?).await?;
        Ok(Response::new(proto::ExtendResponse { lease_expire_time: Some(timestamp(end)) }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<proto::ListDeadLettersRequest>,
    ) -> Result<Response<proto::ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let queue = rules::queue(request.queue)?;
        let size = page::size(request.page_size, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
        let after = page::parsed_key(&request.page_token, |key| key.parse().ok())?.unwrap_or(0);
        let mut letters = self.messages.dead_letters(&queue, after, size + 1).await?;
        let size = size.min(page::fitting(letters.iter().map(|letter| letter.body.len())));
        let next_page_token = page::cut(&mut letters, size, |letter| letter.seq.to_string());
        let dead_letters = letters.into_iter().map(dead).collect::<Result<_, Error>>()?;
        Ok(Response::new(proto::ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn redrive(
        &self,
        request: Request<proto::RedriveRequest>,
    ) -> Result<Response<proto::RedriveResponse>, Status> {
        let queue = rules::queue(request.into_inner().queue)?;
        let redriven = self.messages.redrive(&queue).await?;
        self.bell(&queue).notify_one();
        Ok(Response::new(proto::RedriveResponse { redriven: i32::try_from(redriven).unwrap_or(i32::MAX) }))
    }

    async fn get_stats(
        &self,
        request: Request<proto::GetStatsRequest>,
    ) -> Result<Response<proto::GetStatsResponse>, Status> {
        let queue = rules::queue(request.into_inner().queue)?;
        let stats = self.messages.stats(&queue).await?;
        let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        Ok(Response::new(proto::GetStatsResponse {
            ready: count(stats.ready),
            delayed: count(stats.delayed),
            leased: count(stats.leased),
            dead: count(stats.dead),
            oldest_ready_age_ms: stats.oldest_ready_age_ms.unwrap_or(0).max(0),
        }))
    }

    async fn check_store(
        &self,
        _: Request<proto::CheckStoreRequest>,
    ) -> Result<Response<proto::CheckStoreResponse>, Status> {
        let store = self.messages.check().await?.to_owned();
        Ok(Response::new(proto::CheckStoreResponse { status: OK.into(), store }))
    }
}

fn leased(message: Message) -> Result<proto::Message, Error> {
    Ok(proto::Message {
        body: Some(value(&message.body)?),
        id: message.id,
        receipt: message.receipt.unwrap_or_default(),
        attempts: message.attempts,
        enqueue_time: Some(timestamp(message.pushed_ms)),
        lease_expire_time: Some(timestamp(message.visible_ms)),
    })
}

fn dead(message: Message) -> Result<proto::DeadLetter, Error> {
    Ok(proto::DeadLetter {
        body: Some(value(&message.body)?),
        id: message.id,
        attempts: message.attempts,
        enqueue_time: Some(timestamp(message.pushed_ms)),
        dead_time: Some(timestamp(message.visible_ms)),
    })
}

fn value(encoded: &[u8]) -> Result<Value, Error> {
    Ok(Value::decode(encoded)?)
}

#[cfg(test)]
mod tests;
