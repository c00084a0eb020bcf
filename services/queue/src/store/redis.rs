//! Messages in Redis: sets and hashes changed by one library of functions, `redis/queue.lua`, which says how they look.
//!
//! The keys of a queue share a slot, so in Cluster queues spread over its nodes. How many there are is counted in a slot
//! of its own: a queue registers there before its first message, and again when that was a minute ago.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::error::ErrorKind;
use fred::interfaces::{ClientLike as _, FunctionInterface as _};
use fred::types::{ClusterHash, CustomCommand, Value};
use futures_util::future::try_join;
use malla_runtime::page;
use malla_storage::database::Clock;
use malla_storage::redis::{self, Again, Client};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Delivery, Durability, Message, Messages, Stats, stale};
use crate::config::Config;
use crate::error::Error;
use crate::rules::Body;

mod server;

use server::{Looker, Server};

const LIBRARY: &str = include_str!("redis/queue.lua");
const KEYS: [&str; 12] = [
    "meta",
    "entries",
    "bodies",
    "ready",
    "dead",
    "delayed",
    "leased",
    "settled",
    "keys",
    "key_times",
    "acks",
    "ack_times",
];
const REGISTER: [&str; 2] = ["mq:{queues}:open", "mq:{queues}:known"];
/// How long a push waits for a replica, in milliseconds; at most a quarter of a command's time.
const REPLICA_MS: u64 = 500;
/// Pushes that wait for a replica at a time: their connection stands still meanwhile, so one behind them has to have its
/// answer within a command's time.
const WAITING_MAX: usize = 3;

/// All queues.
pub(crate) struct Redis {
    redis: redis::Redis<Arc<Server>>,
    /// Another connection, for pushes that wait for a replica: a replica that hangs holds up nothing else.
    waiting: redis::Redis<Arc<Server>>,
    /// One for each of them.
    places: Arc<Semaphore>,
    config: Config,
    /// For tests; the functions take the server's time otherwise.
    clock: Option<Clock>,
}

impl Redis {
    /// Connects, and loads the library.
    ///
    /// # Errors
    /// When Redis does not answer, or is not as durable as the configuration demands.
    pub(crate) async fn open(config: Config, clock: Option<Clock>) -> Result<Self, redis::Error> {
        let looker = Looker::new(&config.redis);
        let connect = || async {
            let looker = looker.clone();
            redis::Redis::open(&config.redis.connection(), move |client| looker.clone().look(client)).await
        };
        let (redis, waiting) = try_join(connect(), connect()).await?;
        let (client, server) = redis.present()?;
        load(&client).await?;
        tracing::info!(durability = server.durability.name(), "the queues are in Redis");
        Ok(Self { redis, waiting, places: Arc::new(Semaphore::new(WAITING_MAX)), config, clock })
    }

    pub(crate) fn probe(&self) -> malla_runtime::module::Probe {
        self.redis.probe()
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> Client {
        self.redis.present().expect("connected").0
    }

    /// How many replicas a push to a queue waits for.
    #[cfg(test)]
    pub(super) fn replicas(&self, queue: &str) -> u32 {
        self.redis.present().map_or(0, |(client, server)| server.replicas(&client, slot(queue)))
    }

    fn now(&self) -> Value {
        self.clock.as_ref().map_or(0, |clock| clock()).into()
    }

    /// Calls a function on a queue. The time goes before the arguments.
    async fn on(&self, queue: &str, again: Again, name: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        self.function(again, name, keys(queue), args).await
    }

    async fn function(
        &self,
        again: Again,
        name: &'static str,
        keys: Vec<String>,
        mut args: Vec<Value>,
    ) -> Result<Value, Error> {
        args.insert(0, self.now());
        let call = |client: Client, _| fcall(client, name, keys.clone(), args.clone());
        Ok(self.redis.call(again, call).await?)
    }

    /// Pushes, and waits for a replica to have it, where there are replicas and it matters.
    async fn store_one(&self, queue: &str, mut args: Vec<Value>) -> Result<Vec<Value>, Error> {
        args.insert(0, self.now());
        let (client, server) = self.redis.present()?;
        if server.replicas(&client, slot(queue)) == 0 {
            return push(&self.redis, queue, args, REPLICA_MS).await;
        }
        let command_ms = self.config.redis.command_ms;
        let late = |_| redis::Error::new(ErrorKind::Timeout, "too many pushes wait for a replica");
        let place = timeout(Duration::from_millis(command_ms), self.places.clone().acquire_owned());
        let place = place.await.map_err(late)?;
        let (waiting, queue) = (self.waiting.clone(), queue.to_owned());
        // A task, since the command stays on its connection, and needs its place, when the caller has left.
        let pushing = tokio::spawn(async move {
            let _place = place;
            push(&waiting, &queue, args, REPLICA_MS.min(command_ms / 4)).await
        });
        pushing.await.unwrap_or(Err(Error::Answer("push")))
    }

    /// Calls a function that moves messages on step by step, until there are none left to move.
    async fn to_the_end(&self, queue: &str, name: &'static str, args: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        let mut parts = Vec::new();
        loop {
            let part = self.on(queue, Again::Harmless, name, args.to_vec()).await?.into_array();
            let more = part.first().and_then(Value::as_i64).ok_or(Error::Answer(name))? == 1;
            parts.push(part);
            if !more {
                return Ok(parts);
            }
        }
    }
}

#[async_trait]
impl Messages for Redis {
    async fn push(&self, queue: &str, body: Body, key: Option<&str>, delay_ms: i64) -> Result<String, Error> {
        body.check(self.config.message_bytes_max)?;
        let (max, fingerprint) = (self.config.messages_max, key.map_or_else(Vec::new, |_| body.fingerprint()));
        let (id, body) = (Uuid::now_v7().to_string(), Value::Bytes(body.encoded.into()));
        for is_open in [0_i64, 1] {
            let mut args = vec![id.as_str().into(), body.clone(), delay_ms.into(), max.into(), is_open.into()];
            args.extend([key.unwrap_or_default().into(), Value::Bytes(fingerprint.clone().into())]);
            args.push(self.config.keys_max.into());
            let answer = self.store_one(queue, args).await?;
            let mut answer = answer.iter().map(|part| part.as_string().unwrap_or_default());
            match answer.next().as_deref() {
                Some("ok") => return answer.next().ok_or(Error::Answer("push")),
                Some("reused") => return Err(Error::KeyReused { key: key.unwrap_or_default().to_owned() }),
                Some("keys") => {
                    return Err(Error::TooManyKeys { queue: queue.to_owned(), max: self.config.keys_max });
                }
                Some("full") => return Err(Error::QueueFull { queue: queue.to_owned(), max }),
                Some("closed") if is_open == 0 => self.register(queue).await?,
                _ => break,
            }
        }
        Err(Error::Answer("push"))
    }

    async fn pop(&self, queue: &str) -> Result<Option<Message>, Error> {
        let popped = self.on(queue, Again::Never, "pop", Vec::new()).await?;
        Ok(messages(queue, popped, "pop")?.into_iter().next())
    }

    async fn receive(&self, queue: &str, limit: u64, visibility_ms: i64) -> Result<Vec<Message>, Error> {
        let receipt = Uuid::new_v4().to_string();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args = vec![
            limit.into(),
            visibility_ms.into(),
            receipt.into(),
            self.config.receives_max.into(),
            (page::BYTES_MAX as i64).into(),
        ];
        messages(queue, self.on(queue, Again::Never, "receive", args).await?, "receive")
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, Again::Harmless, "ack", None).await.map(|_| ())
    }

    async fn nack(&self, delivery: &Delivery, delay_ms: i64) -> Result<(), Error> {
        self.settle(delivery, Again::Never, "nack", Some(delay_ms)).await.map(|_| ())
    }

    async fn release(&self, queue: &str, receipt: &str, ids: &[String]) -> Result<(), Error> {
        let args = std::iter::once(receipt).chain(ids.iter().map(String::as_str)).map(Value::from);
        self.on(queue, Again::Harmless, "release", args.collect()).await.map(|_| ())
    }

    async fn extend(&self, delivery: &Delivery, visibility_ms: i64) -> Result<i64, Error> {
        self.settle(delivery, Again::Harmless, "extend", Some(visibility_ms)).await
    }

    async fn held(&self, queue: &str, mut deliveries: Vec<Delivery>) -> Result<Vec<Delivery>, Error> {
        let args =
            deliveries.iter().flat_map(|delivery| [delivery.id.as_str().into(), delivery.receipt.as_str().into()]);
        let held = self.on(queue, Again::Harmless, "held", args.collect()).await?.into_array();
        let mut held = held.into_iter().map(|is_held| is_held.as_i64() == Some(1));
        deliveries.retain(|_| held.next().unwrap_or(false));
        Ok(deliveries)
    }

    async fn count(&self, queue: &str) -> Result<u64, Error> {
        Ok(self.stats(queue).await?.ready.unsigned_abs())
    }

    async fn stats(&self, queue: &str) -> Result<Stats, Error> {
        let parts = self.to_the_end(queue, "stats", &[]).await?;
        let last: Option<Vec<i64>> = parts.last().map(|part| part.iter().filter_map(Value::as_i64).collect());
        match last.as_deref() {
            Some(&[_, ready, delayed, leased, dead, age]) => {
                Ok(Stats { ready, delayed, leased, dead, oldest_ready_age_ms: (ready > 0).then_some(age) })
            }
            _ => Err(Error::Answer("stats")),
        }
    }

    async fn dead_letters(&self, queue: &str, after: i64, limit: u32) -> Result<Vec<Message>, Error> {
        let args = [after.into(), i64::from(limit).into(), (page::BYTES_MAX as i64).into()];
        let mut parts = self.to_the_end(queue, "dead", &args).await?;
        let letters = parts.pop().and_then(|mut part| part.pop()).ok_or(Error::Answer("dead"))?;
        messages(queue, letters, "dead")
    }

    async fn redrive(&self, queue: &str) -> Result<u64, Error> {
        let parts = self.to_the_end(queue, "redrive", &[]).await?;
        Ok(sum(&parts))
    }

    async fn check(&self) -> Result<&'static str, Error> {
        self.redis.call(Again::Harmless, |client, _| async move { client.ping::<()>(None).await }).await?;
        Ok("redis")
    }

    fn durability(&self) -> Durability {
        self.redis.present().map_or(Durability::Relaxed, |(_, server)| server.durability)
    }

    fn keeps_answers(&self) -> bool {
        false
    }

    async fn sweep(&self) -> Result<u64, Error> {
        let known = self.redis.call(Again::Harmless, |client, _| async move {
            client.custom::<Vec<String>, _>(CustomCommand::new_static("SMEMBERS", None, false), vec![REGISTER[1]]).await
        });
        let mut expired = Ok(0);
        for queue in known.await? {
            // One that fails keeps no other from its turn.
            expired = match self.sweep_one(queue).await {
                Ok(more) => expired.map(|expired| expired + more),
                error => error,
            };
        }
        expired
    }
}

impl Redis {
    async fn sweep_one(&self, queue: String) -> Result<u64, Error> {
        let parts = self.to_the_end(&queue, "sweep", &[self.config.retention_ms.into()]).await?;
        let said = |at: usize| parts.last().and_then(|part| part.get(at)?.as_i64()).unwrap_or(0);
        if said(2) == 1 {
            self.registry("close", vec![queue.into(), said(3).into()]).await?;
        }
        Ok(sum(&parts))
    }

    /// Makes a queue one of those that count, if there are not too many.
    async fn register(&self, queue: &str) -> Result<(), Error> {
        let max = self.config.queues_max;
        match self.registry("open", vec![queue.into(), max.into()]).await?.as_i64() {
            Some(1) => Ok(()),
            _ => Err(Error::TooManyQueues { queue: queue.to_owned(), max }),
        }
    }

    async fn registry(&self, name: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        self.function(Again::Harmless, name, REGISTER.map(str::to_owned).to_vec(), args).await
    }

    /// Calls a function on a leased message: what it answers, unless that is 0, which means that the lease is none.
    async fn settle(
        &self,
        delivery: &Delivery,
        again: Again,
        name: &'static str,
        ms: Option<i64>,
    ) -> Result<i64, Error> {
        let mut args = vec![delivery.id.as_str().into(), delivery.receipt.as_str().into()];
        args.extend(ms.map(Value::from));
        match self.on(&delivery.queue, again, name, args).await?.as_i64() {
            Some(0) => Err(stale(delivery)),
            answer => answer.ok_or(Error::Answer(name)),
        }
    }
}

/// Pushes, and waits for replicas as its server demands: on the same connection, since the next one may be to a server that
/// never saw the message.
async fn push(
    redis: &redis::Redis<Arc<Server>>,
    queue: &str,
    args: Vec<Value>,
    replica_ms: u64,
) -> Result<Vec<Value>, Error> {
    let slot = slot(queue);
    let call = |client: Client, server: Arc<Server>| {
        let (keys, args) = (keys(queue), args.clone());
        async move {
            let node = server::node(&client, slot);
            let answer = fcall(client.clone(), "push", keys, args).await?.into_array();
            let is_stored = answer.first().and_then(Value::as_string).as_deref() == Some("ok");
            let needed = server.replicas(&client, slot);
            if !is_stored || needed == 0 {
                return Ok((answer, true));
            }
            let wait = CustomCommand::new_static("WAIT", ClusterHash::Custom(slot), false);
            let waiting = vec![i64::from(needed), i64::try_from(replica_ms).unwrap_or(1)];
            let replicas: i64 = match client.custom(wait, waiting).await {
                // As a server answers that is a replica itself by now: nobody has it for certain.
                Err(error) if !redis::is_away(&error) => {
                    tracing::warn!(%error, "a push cannot wait for replicas");
                    0
                }
                replicas => replicas?,
            };
            // In a Cluster the queue may move meanwhile.
            Ok((answer, replicas >= i64::from(needed) && server::node(&client, slot) == node))
        }
    };
    match redis.call(Again::Harmless, call).await? {
        (answer, true) => Ok(answer),
        _ => Err(Error::Unreplicated),
    }
}

/// Where a Cluster has a queue.
fn slot(queue: &str) -> u16 {
    fred::util::redis_keyslot(queue.as_bytes())
}

pub(super) fn keys(queue: &str) -> Vec<String> {
    KEYS.map(|key| format!("mq:{{{queue}}}:{key}")).to_vec()
}

async fn fcall(client: Client, name: &str, keys: Vec<String>, args: Vec<Value>) -> Result<Value, redis::Error> {
    let name = format!("malla_queue_2_{name}");
    match client.fcall(name.clone(), keys.clone(), args.clone()).await {
        // A server that lost everything, or a new one.
        Err(error) if error.details().contains("Function not found") => {
            load(&client).await?;
            client.fcall(name, keys, args).await
        }
        result => result,
    }
}

/// What the steps of a function did together.
fn sum(parts: &[Vec<Value>]) -> u64 {
    parts.iter().filter_map(|part| part.get(1)?.as_u64()).sum()
}

fn messages(queue: &str, answer: Value, name: &'static str) -> Result<Vec<Message>, Error> {
    let message = |parts: Value| message(queue, &parts.into_array()).ok_or(Error::Answer(name));
    answer.into_array().into_iter().map(message).collect()
}

/// As the library's `shown` writes it.
fn message(queue: &str, parts: &[Value]) -> Option<Message> {
    let [seq, id, pushed_ms, visible_ms, receipt, attempts, body] = parts else { return None };
    Some(Message {
        seq: seq.as_i64()?,
        id: id.as_string()?,
        queue: queue.to_owned(),
        pushed_ms: pushed_ms.as_i64()?,
        visible_ms: visible_ms.as_i64()?,
        receipt: receipt.as_string().filter(|receipt| !receipt.is_empty()),
        attempts: i32::try_from(attempts.as_i64()?).ok()?,
        body: body.as_bytes()?.to_vec(),
    })
}

async fn load(client: &Client) -> Result<(), redis::Error> {
    if client.is_clustered() {
        client.function_load_cluster::<(), _>(true, LIBRARY).await
    } else {
        client.function_load::<(), _>(true, LIBRARY).await
    }
}
