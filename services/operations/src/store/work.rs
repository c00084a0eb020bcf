//! What becomes of calls: accepted, claimed under a lease, settled. Whoever shares the database may take part; every
//! change is one statement or one transaction.

use malla_contracts::google::rpc;
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::{
    Condition, ExprTrait as _, FromQueryResult, IntoActiveModel as _, QueryOrder as _, QuerySelect as _,
    TryInsertResult,
};
use uuid::Uuid;

use super::entity::{self, Column};
use super::{Call, Calls, State};
use crate::error::Error;

/// The states of calls that have not ended.
const UNFINISHED: [State; 2] = [State::Queued, State::Running];
/// How long after it was rung the doorbell is rung again for a call that is still due.
const RING_AGAIN_MS: i64 = 5_000;
/// Most calls the doorbell is rung for at once.
const DUE_MAX: u64 = 100;

/// A call to be accepted.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) owner: String,
    pub(crate) username: String,
    pub(crate) method: String,
    pub(crate) request: Vec<u8>,
    pub(crate) response_type: String,
    pub(crate) key: String,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// With an encoded `google.protobuf.Any`, or an error that would come again.
    Done(Result<Vec<u8>, rpc::Status>),
    /// It is tried again after a pause.
    Again {
        pause_ms: i64,
        /// It ended without a word.
        crashed: bool,
    },
}

/// How many calls there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub(crate) struct Stats {
    pub(crate) queued: i64,
    pub(crate) running: i64,
    /// Age of the oldest that has not ended, in milliseconds.
    pub(crate) oldest_ms: Option<i64>,
}

impl Calls {
    /// Stores a call, or finds the one that was stored with its key.
    ///
    /// Inserted first, read after: of two with one key at once, the second waits for the first.
    pub(crate) async fn insert(&self, draft: Draft) -> Result<Call, Error> {
        let now = (self.clock)();
        let call = Call {
            id: Uuid::new_v4().simple().to_string(),
            owner: draft.owner,
            username: draft.username,
            method: draft.method,
            request: draft.request,
            response_type: draft.response_type,
            idempotency_key: Some(draft.key),
            state: State::Queued,
            response: None,
            error: None,
            attempts: 0,
            crashes: 0,
            confirmed: false,
            created_ms: now,
            modified_ms: now,
            expires_ms: None,
            deadline_ms: now + self.config.deadline_ms,
            next_attempt_ms: now,
            rung_ms: now,
        };
        let same_key = Condition::all()
            .add(Column::Owner.eq(&call.owner))
            .add(Column::Method.eq(&call.method))
            .add(Column::IdempotencyKey.eq(call.idempotency_key.clone()));
        let transaction = self.store.begin().await?;
        let expired = same_key.clone().add(Column::ExpiresMs.lte(now));
        entity::Entity::delete_many().filter(expired).exec(&transaction).await?;
        let insert = entity::Entity::insert(call.clone().into_active_model().reset_all());
        let insert = insert.on_conflict_do_nothing_on([Column::Owner, Column::Method, Column::IdempotencyKey]);
        if let TryInsertResult::Inserted(1..) = insert.exec_without_returning(&transaction).await? {
            let unfinished = entity::Entity::find().filter(Column::State.is_in(UNFINISHED)).count(&transaction).await?;
            let own = entity::Entity::find().filter(Column::Owner.eq(&call.owner)).count(&transaction).await?;
            if unfinished > self.config.unfinished_max || own > self.config.per_owner_max {
                return Err(Error::Full);
            }
            transaction.commit().await?;
            return Ok(call);
        }
        // Gone by now: it was taken back.
        let known = entity::Entity::find().filter(same_key).one(&transaction).await?.ok_or(Error::NotPromised)?;
        if known.request == call.request { Ok(known) } else { Err(Error::KeyReused) }
    }

    /// Notes that a call's client is told it is accepted; `false` when the call was taken back.
    pub(crate) async fn confirm(&self, id: &str) -> Result<bool, Error> {
        let confirmed = entity::Entity::update_many()
            .col_expr(Column::Confirmed, Expr::value(true))
            .filter(Column::Id.eq(id))
            .exec(&self.store.connection)
            .await?;
        Ok(confirmed.rows_affected > 0)
    }

    /// Removes a call that nobody was promised and that has not begun, and tells whether there was one: it will then
    /// never be carried out.
    pub(crate) async fn take_back(&self, id: &str) -> Result<bool, Error> {
        let removed = entity::Entity::delete_many()
            .filter(Column::Id.eq(id))
            .filter(Column::Confirmed.eq(false))
            .filter(Column::State.eq(State::Queued))
            .filter(Column::Attempts.eq(0))
            .exec(&self.store.connection)
            .await?;
        Ok(removed.rows_affected > 0)
    }

    /// One call, whoever owns it.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Call>, Error> {
        Ok(entity::Entity::find_by_id(id).one(&self.store.connection).await?)
    }

    /// Begins an attempt of a call, if it is due. The attempt's number is its lease: what it settles later counts only
    /// while no other has begun.
    pub(crate) async fn claim(&self, id: &str) -> Result<Option<Call>, Error> {
        let now = (self.clock)();
        // Still running, with its lease over: whoever ran it is gone.
        let crashed = Condition::all().add(Column::State.eq(State::Running));
        let crashes = Expr::case(crashed, Expr::col(Column::Crashes).add(1)).finally(Expr::col(Column::Crashes));
        let claimed = entity::Entity::update_many()
            .col_expr(Column::Crashes, crashes.into())
            .col_expr(Column::State, Expr::value(State::Running))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .col_expr(Column::NextAttemptMs, Expr::value(now + self.config.lease_ms()))
            .col_expr(Column::ModifiedMs, Expr::value(now))
            .filter(due(now))
            .filter(Column::Id.eq(id))
            .exec_with_returning(&self.store.connection)
            .await?;
        Ok(claimed.into_iter().next())
    }

    /// Ends an attempt. Without effect when its lease was over and another has begun.
    pub(crate) async fn settle(&self, call: &Call, outcome: Outcome) -> Result<(), Error> {
        let now = (self.clock)();
        let update = entity::Entity::update_many()
            .col_expr(Column::ModifiedMs, Expr::value(now))
            .filter(Column::Id.eq(&call.id))
            .filter(Column::State.eq(State::Running))
            .filter(Column::Attempts.eq(call.attempts));
        let update = match outcome {
            Outcome::Done(result) => {
                let (response, error) = result
                    .map_or_else(|status| (None, Some(status.encode_to_vec())), |response| (Some(response), None));
                update
                    .col_expr(Column::State, Expr::value(State::Done))
                    .col_expr(Column::Response, Expr::value(response))
                    .col_expr(Column::Error, Expr::value(error))
                    .col_expr(Column::ExpiresMs, Expr::value(now + self.config.retention_ms))
            }
            Outcome::Again { pause_ms, crashed } => update
                .col_expr(Column::State, Expr::value(State::Queued))
                .col_expr(Column::Crashes, Expr::col(Column::Crashes).add(i32::from(crashed)))
                .col_expr(Column::NextAttemptMs, Expr::value(now + pause_ms))
                .col_expr(Column::RungMs, Expr::value(0)),
        };
        update.exec(&self.store.connection).await?;
        Ok(())
    }

    /// Ids of calls that are due and for which the doorbell was not rung lately, the longest due first; notes that it
    /// is rung for them now.
    pub(crate) async fn due(&self) -> Result<Vec<String>, Error> {
        let now = (self.clock)();
        let ids: Vec<String> = entity::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(due(now))
            .filter(Column::RungMs.lte(now - RING_AGAIN_MS))
            .order_by_asc(Column::NextAttemptMs)
            .limit(DUE_MAX)
            .into_tuple()
            .all(&self.store.connection)
            .await?;
        if !ids.is_empty() {
            entity::Entity::update_many()
                .col_expr(Column::RungMs, Expr::value(now))
                .filter(Column::Id.is_in(ids.clone()))
                .exec(&self.store.connection)
                .await?;
        }
        Ok(ids)
    }

    /// Counts the calls that have not ended.
    pub(crate) async fn stats(&self) -> Result<Stats, Error> {
        let count =
            |state: State| -> Expr { Expr::case(Condition::all().add(Column::State.eq(state)), Expr::value(1)).into() };
        let counted = entity::Entity::find()
            .select_only()
            .expr_as(count(State::Queued).count(), "queued")
            .expr_as(count(State::Running).count(), "running")
            .expr_as(Expr::value((self.clock)()).sub(Expr::col(Column::CreatedMs)).max(), "oldest_ms")
            .filter(Column::State.is_in(UNFINISHED))
            .into_model()
            .one(&self.store.connection)
            .await?;
        Ok(counted.unwrap_or_default())
    }
}

fn due(now: i64) -> Condition {
    Condition::all().add(Column::State.is_in(UNFINISHED)).add(Column::NextAttemptMs.lte(now))
}

#[cfg(test)]
mod tests;
