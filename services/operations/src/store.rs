//! Deferred calls in the database, as their owners see them: nobody else's calls exist for a caller, the owner is part
//! of every query. The calls of nobody in particular are theirs who know the id. What becomes of calls is in `work`.

use malla_contracts::google::rpc;
use malla_runtime::status::shown;
use malla_storage::database::{Clock, Store};
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, ExprTrait as _, QueryOrder as _, QuerySelect as _};
use tonic::Code;

use crate::config::Config;
use crate::error::Error;

mod entity;
mod work;

use entity::Column;
pub(crate) use entity::{Model as Call, State};
pub(crate) use work::{Draft, Outcome, Stats};

impl Call {
    /// Whether it has ended, one way or another.
    pub(crate) fn is_done(&self) -> bool {
        DONE.contains(&self.state)
    }

    /// Its place in a list, as text.
    pub(crate) fn place(&self) -> String {
        format!("{}-{}", self.created_ms, self.id)
    }

    /// The size of what it ended with.
    pub(crate) fn result_bytes(&self) -> usize {
        [&self.response, &self.error].into_iter().flatten().map(Vec::len).sum()
    }
}

/// A call's place in the order of acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    created_ms: i64,
    id: String,
}

impl Place {
    /// Reads what [`Call::place`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (created_ms, id) = text.split_once('-')?;
        Some(Self { created_ms: created_ms.parse().ok()?, id: id.to_owned() })
    }
}

/// The states of calls that have ended.
const DONE: [State; 2] = [State::Done, State::Cancelled];

/// All deferred calls.
pub(crate) struct Calls {
    store: Store,
    config: Config,
    clock: Clock,
}

impl Calls {
    pub(crate) fn new(store: Store, config: Config, clock: Clock) -> Self {
        Self { store, config, clock }
    }

    /// One call.
    pub(crate) async fn get(&self, owner: &str, id: &str) -> Result<Call, Error> {
        let known = entity::Entity::find().filter(self.known(owner)).filter(Column::Id.eq(id));
        known.one(&self.store.connection).await?.ok_or_else(|| Error::Unknown(shown(id)))
    }

    /// Up to `limit` calls of a user accepted before the one at this place, newest first.
    pub(crate) async fn list(&self, owner: &str, before: Option<&Place>, limit: u32) -> Result<Vec<Call>, Error> {
        let mut known = entity::Entity::find().filter(self.known(owner)).filter(Column::Owner.eq(owner));
        if let Some(Place { created_ms, id }) = before {
            let same_time = Column::CreatedMs.eq(*created_ms).and(Column::Id.lt(id));
            known = known.filter(Column::CreatedMs.lt(*created_ms).or(same_time));
        }
        let newest = known.order_by_desc(Column::CreatedMs).order_by_desc(Column::Id);
        Ok(newest.limit(u64::from(limit)).all(&self.store.connection).await?)
    }

    /// Ends a call that is not under way. One that is is left alone: its service may be at work already.
    pub(crate) async fn cancel(&self, owner: &str, id: &str) -> Result<(), Error> {
        let first = "the operation was cancelled before it began";
        let later = "the operation was cancelled; an attempt before, whose answer was lost, may have had its effect";
        for (attempts, message) in [(Column::Attempts.eq(0), first), (Column::Attempts.gt(0), later)] {
            let now = (self.clock)();
            let error = rpc::Status { code: Code::Cancelled.into(), message: message.to_owned(), details: Vec::new() };
            let cancelled = entity::Entity::update_many()
                .col_expr(Column::State, Expr::value(State::Cancelled))
                .col_expr(Column::Error, Expr::value(error.encode_to_vec()))
                .col_expr(Column::ModifiedMs, Expr::value(now))
                .col_expr(Column::ExpiresMs, Expr::value(now + self.config.retention_ms))
                .filter(self.known(owner))
                .filter(Column::Id.eq(id))
                .filter(Column::State.eq(State::Queued))
                .filter(attempts)
                .exec(&self.store.connection)
                .await?;
            if cancelled.rows_affected > 0 {
                return Ok(());
            }
        }
        self.get(owner, id).await.map(|_| ())
    }

    /// Removes a call that has ended.
    pub(crate) async fn delete(&self, owner: &str, id: &str) -> Result<(), Error> {
        let deleted = entity::Entity::delete_many()
            .filter(self.known(owner))
            .filter(Column::Id.eq(id))
            .filter(Column::State.is_in(DONE))
            .exec(&self.store.connection)
            .await?;
        if deleted.rows_affected > 0 {
            return Ok(());
        }
        self.get(owner, id).await.and_then(|call| Err(Error::NotDone(call.id)))
    }

    /// Removes the calls whose retention is over, and returns how many.
    pub(crate) async fn sweep(&self) -> Result<u64, Error> {
        let expired = Column::ExpiresMs.lte((self.clock)());
        Ok(entity::Entity::delete_many().filter(expired).exec(&self.store.connection).await?.rows_affected)
    }

    /// What exists for a caller.
    fn known(&self, owner: &str) -> Condition {
        let kept = Condition::any().add(Column::ExpiresMs.is_null()).add(Column::ExpiresMs.gt((self.clock)()));
        Condition::all().add(Column::Owner.is_in([owner, ""])).add(kept)
    }
}

#[cfg(test)]
pub(crate) mod tests;
