//! `malla.queue.v1` in terms of the domain.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt as _};
use malla_contracts::malla::queue::v1 as proto;
use malla_contracts::malla::queue::v1::queue_service_server::QueueService;
use malla_runtime::page;
use malla_runtime::places::Places;
use malla_runtime::shutdown::Shutdown;
use malla_runtime::status::invalid;
use malla_storage::database::timestamp;
use malla_storage::{keyed, wait};
use prost::Message as _;
use prost_types::Value;
use prost_types::value::Kind;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::bells::Bells;
use crate::error::Error;
use crate::rules::{self, Body};
use crate::store::{Message, Messages};
use crate::subscription::Subscription;

const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 100;
const OK: &str = "ok";

/// The gRPC service.
pub(crate) struct Service {
    messages: Arc<dyn Messages>,
    /// Rung when something may have changed for those who wait in this process.
    bells: Arc<Bells>,
    /// One for each stream.
    places: Places,
    shutdown: Shutdown,
}

impl Service {
    pub(crate) fn new(messages: Arc<dyn Messages>, places: Places, shutdown: Shutdown) -> Self {
        Self { messages, bells: Arc::default(), places, shutdown }
    }

    fn bell(&self, queue: &str) -> &Notify {
        self.bells.of(queue)
    }

    /// A request whose second coming would be another call: one that relies on a key is refused where none is kept.
    fn once<T>(&self, request: Request<T>) -> Result<T, Status> {
        if !self.messages.keeps_answers() && keyed::key(request.metadata().as_ref())?.is_some() {
            let why = "must be absent: of queues in Redis only Push, Ack and Extend can be repeated";
            return Err(invalid(keyed::KEY.as_str(), why));
        }
        Ok(request.into_inner())
    }
}

#[tonic::async_trait]
impl QueueService for Service {
    async fn push(&self, request: Request<proto::PushRequest>) -> Result<Response<proto::PushResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let (queue, body) = (rules::queue(request.queue)?, Body::new(request.body.as_ref())?);
        let (of_call, owner) = (keyed::key(metadata.as_ref())?, keyed::owner(extensions.get()));
        let key = rules::key(request.idempotency_key, of_call, &owner)?;
        let id = self.messages.push(&queue, body, key.as_deref(), rules::delay(request.delay_ms)?).await?;
        self.bell(&queue).notify_one();
        Ok(Response::new(proto::PushResponse { status: OK.into(), id }))
    }

    async fn pop(&self, request: Request<proto::PopRequest>) -> Result<Response<proto::PopResponse>, Status> {
        let queue = rules::queue(self.once(request)?.queue)?;
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
        let request = self.once(request)?;
        let (queue, limit) = (rules::queue(request.queue)?, rules::count(request.max_messages)?);
        let visibility_ms = rules::visibility(request.visibility_ms)?;
        let wait = Duration::from_millis(rules::wait(request.wait_ms)?);
        let look = || self.messages.receive(&queue, limit, visibility_ms);
        let some = |messages: &Vec<Message>| !messages.is_empty();
        let received = wait::until(self.bell(&queue), wait, &self.shutdown, look, some).await?;
        let messages = received.into_iter().map(leased).collect::<Result<_, Error>>()?;
        Ok(Response::new(proto::ReceiveResponse { messages }))
    }

    type SubscribeStream = BoxStream<'static, Result<proto::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<proto::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let owner = keyed::owner(request.extensions().get());
        let proto::SubscribeRequest { queue, visibility_ms, max_in_flight } = request.into_inner();
        let subscription = Subscription {
            queue: rules::queue(queue)?,
            visibility_ms: rules::visibility(visibility_ms)?,
            in_flight_max: rules::in_flight(max_in_flight)?,
            messages: self.messages.clone(),
            bells: self.bells.clone(),
            shutdown: self.shutdown.clone(),
            in_flight: Vec::new(),
            leased: VecDeque::new(),
            leased_until: Instant::now(),
            _place: self.places.take(Some(owner)).map_err(Error::from)?,
        };
        let response = |message| Ok(proto::SubscribeResponse { message: Some(leased(message?)?) });
        Ok(Response::new(subscription.run().map(move |message| response(message).map_err(Error::into)).boxed()))
    }

    async fn ack(&self, request: Request<proto::AckRequest>) -> Result<Response<proto::AckResponse>, Status> {
        let proto::AckRequest { queue, id, receipt } = request.into_inner();
        let delivery = rules::delivery(queue, id, receipt)?;
        self.messages.ack(&delivery).await?;
        // A stream may have waited for room.
        self.bell(&delivery.queue).notify_one();
        Ok(Response::new(proto::AckResponse {}))
    }

    async fn nack(&self, request: Request<proto::NackRequest>) -> Result<Response<proto::NackResponse>, Status> {
        let proto::NackRequest { queue, id, receipt, delay_ms } = self.once(request)?;
        let delivery = rules::delivery(queue, id, receipt)?;
        self.messages.nack(&delivery, rules::delay(delay_ms)?).await?;
        self.bell(&delivery.queue).notify_one();
        Ok(Response::new(proto::NackResponse {}))
    }

    async fn extend(&self, request: Request<proto::ExtendRequest>) -> Result<Response<proto::ExtendResponse>, Status> {
        let proto::ExtendRequest { queue, id, receipt, visibility_ms } = request.into_inner();
        let delivery = rules::delivery(queue, id, receipt)?;
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
        let queue = rules::queue(self.once(request)?.queue)?;
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
            durability: self.messages.durability().name().into(),
        }))
    }

    async fn check_store(
        &self,
        _: Request<proto::CheckStoreRequest>,
    ) -> Result<Response<proto::CheckStoreResponse>, Status> {
        let store = self.messages.check().await?.to_owned();
        let durability = self.messages.durability().name().into();
        Ok(Response::new(proto::CheckStoreResponse { status: OK.into(), store, durability }))
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
