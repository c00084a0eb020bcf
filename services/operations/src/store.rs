//! Deferred calls in the database, as their owners see them: nobody else's calls exist for a caller, the owner is part
//! of every query. The calls of nobody in particular are theirs who know the id. What becomes of calls is in `work`.

use malla_contracts::google::rpc;
use malla_runtime::status::shown;
use malla_storage::database::{Clock, Store};
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, ExprTrait as _, QueryOrder as _, QuerySelect as _, Select, UpdateMany};
use tonic::Code;

use crate::config::Config;
use crate::error::Error;

mod entity;
mod promise;
mod work;

use entity::Column;
pub(crate) use entity::{Model as Call, Seen, State};
pub(crate) use promise::{Draft, Standing};
pub(crate) use work::{Outcome, Stats};

/// Calls removed in one statement of a sweep, so that others get their turn.
const SWEEP_MAX: u64 = 500;
/// How long a call may be stored without a promise: whoever was to be promised it was told otherwise long ago.
const UNPROMISED_MS: i64 = 60_000;

/// A call in a list, before it is read.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "entity::Entity")]
pub(crate) struct Entry {
    id: String,
    created_ms: i64,
    stored_bytes: i64,
}

impl Entry {
    /// Its place in a list, as text.
    pub(crate) fn place(&self) -> String {
        format!("{}-{}", self.created_ms, self.id)
    }

    /// At least the size of its result, if it has ended.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.stored_bytes).unwrap_or(0)
    }
}

/// A call's place in the order of acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    created_ms: i64,
    id: String,
}

impl Place {
    /// Reads what [`Entry::place`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (created_ms, id) = text.split_once('-')?;
        Some(Self { created_ms: created_ms.parse().ok()?, id: id.to_owned() })
    }
}

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
    pub(crate) async fn get(&self, owner: &str, id: &str) -> Result<Seen, Error> {
        let known = entity::Entity::find().filter(self.known(owner)).filter(Column::Id.eq(id));
        known.into_partial_model().one(&self.store.connection).await?.ok_or_else(|| Error::Unknown(shown(id)))
    }

    /// Where up to `limit` calls of a user are that were accepted before the one at this place, newest first, and how big
    /// they are: read whole, they may be too many.
    pub(crate) async fn entries(&self, owner: &str, before: Option<&Place>, limit: u32) -> Result<Vec<Entry>, Error> {
        let mut known = self.newest(owner);
        if let Some(Place { created_ms, id }) = before {
            let same_time = Column::CreatedMs.eq(*created_ms).and(Column::Id.lt(id));
            known = known.filter(Column::CreatedMs.lt(*created_ms).or(same_time));
        }
        Ok(known.limit(u64::from(limit)).into_partial_model().all(&self.store.connection).await?)
    }

    /// The calls of a user at these entries, but for those that are gone meanwhile.
    pub(crate) async fn read(&self, owner: &str, entries: Vec<Entry>) -> Result<Vec<Seen>, Error> {
        let ids = entries.into_iter().map(|entry| entry.id);
        let known = self.newest(owner).filter(Column::Id.is_in(ids));
        Ok(known.into_partial_model().all(&self.store.connection).await?)
    }

    fn newest(&self, owner: &str) -> Select<entity::Entity> {
        let known = entity::Entity::find().filter(self.known(owner)).filter(Column::Owner.eq(owner));
        known.order_by_desc(Column::CreatedMs).order_by_desc(Column::Id)
    }

    /// Ends a call that is not under way. One that is is left alone: its service may be at work already.
    pub(crate) async fn cancel(&self, owner: &str, id: &str) -> Result<(), Error> {
        let first = "the operation was cancelled before it began";
        let later = "the operation was cancelled; an attempt before, whose answer was lost, may have had its effect";
        for (attempts, message) in [(Column::Attempts.eq(0), first), (Column::Attempts.gt(0), later)] {
            let now = (self.clock)();
            let error = rpc::Status { code: Code::Cancelled.into(), message: message.to_owned(), details: Vec::new() };
            let error = error.encode_to_vec();
            let cancelled = self
                .ended(entity::Entity::update_many(), State::Cancelled, &error, now)
                .col_expr(Column::Error, Expr::value(error))
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
            .filter(Column::State.is_in(State::ENDED))
            .exec(&self.store.connection)
            .await?;
        if deleted.rows_affected > 0 {
            return Ok(());
        }
        self.get(owner, id).await.and_then(|call| Err(Error::NotDone(call.id)))
    }

    /// What is the same of all ends: the result takes the request's place.
    fn ended(
        &self,
        update: UpdateMany<entity::Entity>,
        state: State,
        result: &[u8],
        now: i64,
    ) -> UpdateMany<entity::Entity> {
        update
            .col_expr(Column::State, Expr::value(state))
            .col_expr(Column::Request, Expr::value(Vec::<u8>::new()))
            .col_expr(Column::StoredBytes, Expr::value(promise::stored_bytes(result)))
            .col_expr(Column::ModifiedMs, Expr::value(now))
            .col_expr(Column::ExpiresMs, Expr::value(now + self.config.retention_ms))
    }

    /// Removes the calls whose retention is over and those that were never promised, and returns how many.
    pub(crate) async fn sweep(&self) -> Result<u64, Error> {
        let now = (self.clock)();
        let expired = Condition::all().add(Column::ExpiresMs.lte(now));
        let unpromised = Condition::all()
            .add(Column::State.eq(State::Queued))
            .add(Column::NextAttemptMs.lte(now - UNPROMISED_MS))
            .add(Column::Confirmed.eq(false));
        Ok(self.remove(expired).await? + self.remove(unpromised).await?)
    }

    async fn remove(&self, which: Condition) -> Result<u64, DbErr> {
        let mut removed = 0;
        loop {
            let ids = entity::Entity::find().select_only().column(Column::Id).filter(which.clone()).limit(SWEEP_MAX);
            let ids: Vec<String> = ids.into_tuple().all(&self.store.connection).await?;
            // Asked again: it may have been promised since.
            let delete = entity::Entity::delete_many().filter(Column::Id.is_in(&ids)).filter(which.clone());
            removed += delete.exec(&self.store.connection).await?.rows_affected;
            if (ids.len() as u64) < SWEEP_MAX {
                return Ok(removed);
            }
        }
    }

    /// What exists for a caller.
    fn known(&self, owner: &str) -> Condition {
        let kept = Condition::any().add(Column::ExpiresMs.is_null()).add(Column::ExpiresMs.gt((self.clock)()));
        Condition::all().add(Column::Owner.is_in([owner, ""])).add(Column::Confirmed.eq(true)).add(kept)
    }
}

#[cfg(test)]
pub(crate) mod tests;
