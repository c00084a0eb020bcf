//! Messages in a database.
//!
//! Every change is atomic: one transaction, or one statement; what is done to any number of messages, one a step. Where two
//! could choose the same rows, they are chosen under a lock, skipping what others hold: PostgreSQL needs that, SQLite has
//! one writer at a time.

use async_trait::async_trait;
use malla_runtime::page;
use malla_storage::database::{Clock, Store, Transaction};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Func;
use sea_orm::{
    Condition, ConnectionTrait, DatabaseBackend, ExprTrait as _, FromQueryResult, NotSet, QueryOrder as _,
    QuerySelect as _, Set,
};
use uuid::Uuid;

use super::{Delivery, Durability, KEY_MS, Message, Messages, Stats, TOMBSTONE_MS, stale};
use crate::config::Config;
use crate::error::Error;
use crate::rules::Body;

pub(super) mod entity;
pub(super) mod memory;
mod room;
pub(super) mod select;

use entity::messages::Column::{Arrived, Attempts, Id, IsFinal, PushedMs, Queue, Receipt, Seq, VisibleMs};
use entity::{acks, keys, messages, queues};
use select::{Selected, arrived, arriving, dead, leased, locked, longest_visible, oldest, places, ready};

/// Messages removed in one transaction of a sweep, so that others get their turn.
pub(super) const SWEEP_MAX: usize = 100;
/// Dead letters made ready in one statement of a redrive, for the same reason.
pub(super) const REDRIVE_MAX: u64 = 500;
/// Messages noted to have arrived at a time, for the same reason.
pub(super) const ARRIVE_MAX: u64 = 100;

/// All queues.
pub(crate) struct Sql {
    store: Store,
    config: Config,
    clock: Clock,
}

impl Sql {
    pub(crate) fn new(store: Store, config: Config, clock: Clock) -> Self {
        Self { store, config, clock }
    }

    /// Notes of all dead letters that they are.
    async fn bury(&self, queue: &str) -> Result<(), Error> {
        while any(&self.store.connection, arriving(queue, true, (self.clock)())).await? {
            let transaction = self.store.begin().await?;
            let buried = arrive(&transaction, queue, true, (self.clock)()).await?;
            transaction.commit().await?;
            if buried < ARRIVE_MAX {
                break;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Messages for Sql {
    async fn push(&self, queue: &str, body: Body, key: Option<&str>, delay_ms: i64) -> Result<String, Error> {
        body.check(self.config.message_bytes_max)?;
        let id = Uuid::now_v7().to_string();
        let transaction = self.store.begin().await?;
        let now = (self.clock)();
        if let Some(key) = key {
            let (queue, key, fingerprint) = (queue.to_owned(), key.to_owned(), body.fingerprint());
            let claim = keys::Model { queue, key, fingerprint, id: id.clone(), pushed_ms: now };
            if let Some(first) = memory::claim_key(&transaction, claim, self.config.keys_max).await? {
                return Ok(first);
            }
        }
        room::take(&transaction, &self.config, queue).await?;
        let row = messages::ActiveModel {
            seq: NotSet,
            id: Set(id.clone()),
            queue: Set(queue.to_owned()),
            pushed_ms: Set(now),
            visible_ms: Set(now + delay_ms),
            receipt: Set(None),
            attempts: Set(0),
            is_final: Set(false),
            body: Set(body.encoded),
            arrived: Set(delay_ms == 0),
        };
        messages::Entity::insert(row).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn pop(&self, queue: &str) -> Result<Option<Message>, Error> {
        // Whoever asks an empty queue again and again must not hold up those who fill it.
        if !any(&self.store.connection, ready(queue, (self.clock)())).await? {
            return Ok(None);
        }
        let transaction = self.store.begin().await?;
        arrive(&transaction, queue, false, (self.clock)()).await?;
        let popped = room::remove(&transaction, locked(oldest(arrived(queue, false), 1))).await?.pop();
        // Others were quicker. A transaction committed for nothing would, in a keyed call, be kept open to its end.
        if popped.is_some() {
            transaction.commit().await?;
        }
        Ok(popped.map(Into::into))
    }

    async fn receive(&self, queue: &str, limit: u64, visibility_ms: i64) -> Result<Vec<Message>, Error> {
        // As in `pop`: those who wait look four times a second.
        if !any(&self.store.connection, ready(queue, (self.clock)())).await? {
            return Ok(Vec::new());
        }
        let transaction = self.store.begin().await?;
        let now = (self.clock)();
        arrive(&transaction, queue, false, now).await?;
        let chosen = fitting(&transaction, locked(oldest(arrived(queue, false), limit)), 0).await?;
        // As in `pop`: the call goes on waiting, and SQLite has one writer at a time.
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let mut received = messages::Entity::update_many()
            .col_expr(Receipt, Expr::value(Uuid::new_v4().to_string()))
            .col_expr(VisibleMs, Expr::value(now + visibility_ms))
            .col_expr(Arrived, Expr::value(false))
            .col_expr(Attempts, Expr::col(Attempts).add(1))
            .col_expr(IsFinal, Expr::col(Attempts).add(1).gte(self.config.receives_max))
            .filter(Seq.is_in(chosen))
            .exec_with_returning(&transaction)
            .await?;
        transaction.commit().await?;
        received.sort_by_key(|message| message.seq);
        Ok(received.into_iter().map(Into::into).collect())
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), Error> {
        let transaction = self.store.begin().await?;
        let now = (self.clock)();
        // Waits for another that acknowledges the same: by then there is a tombstone.
        let held = oldest(leased(delivery, now), 1).lock_exclusive();
        if room::remove(&transaction, held).await?.is_empty() {
            let known = acks::Entity::find_by_id(&delivery.id)
                .filter(acks::Column::Receipt.eq(&delivery.receipt))
                .filter(acks::Column::AckedMs.gt(now - TOMBSTONE_MS))
                .one(&transaction)
                .await?;
            return known.map(|_| ()).ok_or_else(|| stale(delivery));
        }
        let (id, receipt) = (Set(delivery.id.clone()), Set(delivery.receipt.clone()));
        let row = acks::ActiveModel { id, receipt, acked_ms: Set(now) };
        acks::Entity::insert(row).exec_without_returning(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn nack(&self, delivery: &Delivery, delay_ms: i64) -> Result<(), Error> {
        let now = (self.clock)();
        let given_back = messages::Entity::update_many()
            .col_expr(Receipt, Expr::value(None::<String>))
            .col_expr(VisibleMs, Expr::value(now + delay_ms))
            .col_expr(Arrived, Expr::value(false))
            .filter(leased(delivery, now))
            .exec(&self.store.connection)
            .await?;
        if given_back.rows_affected == 0 { Err(stale(delivery)) } else { Ok(()) }
    }

    async fn release(&self, queue: &str, receipt: &str, ids: &[String]) -> Result<(), Error> {
        messages::Entity::update_many()
            .col_expr(Receipt, Expr::value(None::<String>))
            .col_expr(VisibleMs, Expr::value((self.clock)()))
            .col_expr(Arrived, Expr::value(false))
            .col_expr(Attempts, Expr::col(Attempts).sub(1))
            .col_expr(IsFinal, Expr::value(false))
            .filter(Queue.eq(queue))
            .filter(Id.is_in(ids))
            .filter(Receipt.eq(receipt))
            .exec(&self.store.connection)
            .await?;
        Ok(())
    }

    async fn extend(&self, delivery: &Delivery, visibility_ms: i64) -> Result<i64, Error> {
        let now = (self.clock)();
        let extended = messages::Entity::update_many()
            .col_expr(VisibleMs, Expr::value(now + visibility_ms))
            // By the clock of another process it may have ended.
            .col_expr(Arrived, Expr::value(false))
            .filter(leased(delivery, now))
            .exec(&self.store.connection)
            .await?;
        if extended.rows_affected == 0 { Err(stale(delivery)) } else { Ok(now + visibility_ms) }
    }

    async fn held(&self, queue: &str, mut deliveries: Vec<Delivery>) -> Result<Vec<Delivery>, Error> {
        let ids = deliveries.iter().map(|delivery| delivery.id.as_str());
        let leased: Vec<(String, Option<String>)> = messages::Entity::find()
            .select_only()
            .columns([Id, Receipt])
            .filter(Queue.eq(queue))
            .filter(Id.is_in(ids))
            .filter(VisibleMs.gt((self.clock)()))
            .into_tuple()
            .all(&self.store.connection)
            .await?;
        let is_leased = |delivery: &Delivery| {
            leased.iter().any(|(id, receipt)| *id == delivery.id && receipt.as_ref() == Some(&delivery.receipt))
        };
        deliveries.retain(is_leased);
        Ok(deliveries)
    }

    async fn count(&self, queue: &str) -> Result<u64, Error> {
        let ready = messages::Entity::find().filter(ready(queue, (self.clock)()));
        Ok(ready.count(&self.store.connection).await?)
    }

    async fn stats(&self, queue: &str) -> Result<Stats, Error> {
        let now = (self.clock)();
        let later = || Condition::all().add(VisibleMs.gt(now));
        let among = |state: Condition, value: Expr| -> Expr { Expr::case(state, value).into() };
        let count = |state: Condition| among(state, Expr::value(1)).count();
        let age = Expr::value(now).sub(Expr::col(PushedMs));
        let counted = messages::Entity::find()
            .select_only()
            .expr_as(count(ready(queue, now)), "ready")
            .expr_as(count(later().add(Receipt.is_null())), "delayed")
            .expr_as(count(later().add(Receipt.is_not_null())), "leased")
            .expr_as(count(dead(queue, now)), "dead")
            .expr_as(among(ready(queue, now), age).max(), "oldest_ready_age_ms")
            .filter(Queue.eq(queue))
            .into_model::<Counted>()
            .one(&self.store.connection)
            .await?;
        let Some(Counted { ready, delayed, leased, dead, oldest_ready_age_ms }) = counted else {
            return Ok(Stats::default());
        };
        Ok(Stats { ready, delayed, leased, dead, oldest_ready_age_ms })
    }

    async fn dead_letters(&self, queue: &str, after: i64, limit: u32) -> Result<Vec<Message>, Error> {
        self.bury(queue).await?;
        let dead = || arrived(queue, true).add(Seq.gt(after));
        let chosen = fitting(&self.store.connection, oldest(dead(), u64::from(limit)), 1).await?;
        // Asked again: one may have been redriven since.
        let letters = messages::Entity::find().filter(dead()).filter(Seq.is_in(chosen)).order_by_asc(Seq);
        Ok(letters.all(&self.store.connection).await?.into_iter().map(Into::into).collect())
    }

    async fn redrive(&self, queue: &str) -> Result<u64, Error> {
        self.bury(queue).await?;
        let (connection, now, mut redriven) = (&self.store.connection, (self.clock)(), 0);
        loop {
            let chosen = oldest(arrived(queue, true), REDRIVE_MAX).into_tuple::<i64>().all(connection).await?;
            let is_last = (chosen.len() as u64) < REDRIVE_MAX;
            let step = messages::Entity::update_many()
                .col_expr(VisibleMs, Expr::value(now))
                .col_expr(Receipt, Expr::value(None::<String>))
                .col_expr(Attempts, Expr::value(0))
                .col_expr(IsFinal, Expr::value(false))
                .filter(Seq.is_in(chosen))
                // Asked again: another may be at it.
                .filter(arrived(queue, true));
            redriven += step.exec(connection).await?.rows_affected;
            if is_last {
                return Ok(redriven);
            }
        }
    }

    async fn check(&self) -> Result<&'static str, Error> {
        self.store.connection.ping().await.map_err(Error::Unreachable)?;
        Ok(match self.store.connection.get_database_backend() {
            DatabaseBackend::Sqlite => "sqlite",
            DatabaseBackend::Postgres => "postgres",
            _ => "other",
        })
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    fn keeps_answers(&self) -> bool {
        true
    }

    async fn sweep(&self) -> Result<u64, Error> {
        let now = (self.clock)();
        let mut expired = 0;
        loop {
            let transaction = self.store.begin().await?;
            // A lease or a delay ends in the future: what either holds is out of reach.
            let unwanted = Condition::all().add(VisibleMs.lte(now - self.config.retention_ms));
            let removed = room::remove(&transaction, locked(longest_visible(unwanted, SWEEP_MAX as u64))).await?.len();
            transaction.commit().await?;
            expired += removed as u64;
            if removed < SWEEP_MAX {
                break;
            }
        }
        memory::forget_keys(&self.store, now - KEY_MS).await?;
        memory::forget_acks(&self.store, now - TOMBSTONE_MS).await?;
        queues::Entity::delete_many().filter(queues::Column::Stored.eq(0)).exec(&self.store.connection).await?;
        Ok(expired)
    }
}

/// [`Stats`] as a row.
#[derive(FromQueryResult)]
struct Counted {
    ready: i64,
    delayed: i64,
    leased: i64,
    dead: i64,
    oldest_ready_age_ms: Option<i64>,
}

impl From<messages::Model> for Message {
    fn from(row: messages::Model) -> Self {
        let messages::Model { seq, id, queue, pushed_ms, visible_ms, receipt, attempts, body, .. } = row;
        Self { seq, id, queue, pushed_ms, visible_ms, receipt, attempts, body }
    }
}

/// Whether there are any of these messages.
async fn any(connection: &impl ConnectionTrait, which: Condition) -> Result<bool, DbErr> {
    Ok(places(which, 1).into_tuple::<i64>().one(connection).await?.is_some())
}

/// Notes of messages that are ready, or dead, that they are: of a step of them, and returns how many.
async fn arrive(transaction: &Transaction, queue: &str, dead: bool, now: i64) -> Result<u64, DbErr> {
    let arriving = longest_visible(arriving(queue, dead, now), ARRIVE_MAX).order_by_asc(Seq);
    // Waits for another that notes the same, all in one order: who went on without them would find none.
    let arriving: Vec<i64> = arriving.lock_exclusive().into_tuple().all(transaction).await?;
    if arriving.is_empty() {
        return Ok(0);
    }
    let arrived = messages::Entity::update_many().col_expr(Arrived, Expr::value(true)).filter(Seq.is_in(arriving));
    Ok(arrived.exec(transaction).await?.rows_affected)
}

/// The place and the size of a message.
#[derive(FromQueryResult)]
struct Weight {
    seq: i64,
    bytes: i32,
}

/// Those of the selected messages that can be sent together, in their order, and up to `more` that follow.
async fn fitting(connection: &impl ConnectionTrait, selected: Selected, more: usize) -> Result<Vec<i64>, DbErr> {
    let bytes = Func::cust("length").arg(Expr::col(messages::Column::Body));
    let mut weights = selected.expr_as(bytes, "bytes").into_model::<Weight>().all(connection).await?;
    let fitting = page::fitting(weights.iter().map(|weight| usize::try_from(weight.bytes).unwrap_or(0)));
    weights.truncate(fitting as usize + more);
    Ok(weights.into_iter().map(|weight| weight.seq).collect())
}
