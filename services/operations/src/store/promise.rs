//! How a call is accepted: stored, and then promised, or taken back. One that was not promised is never carried out.

use malla_storage::database::{Transaction, take_turns};
use malla_storage::keyed::fingerprint;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, ExprTrait as _, IntoActiveModel as _, QuerySelect as _, TryInsertResult};
use uuid::Uuid;

use super::entity::{self, Column};
use super::{Call, Calls, State};
use crate::error::Error;

/// What a call takes of the room besides its request and its result.
const CALL_BYTES: i64 = 1 << 10;

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

/// What a worker has to know of a call before it claims it.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "entity::Entity")]
pub(crate) struct Standing {
    pub(crate) method: String,
    pub(crate) confirmed: bool,
}

impl Calls {
    /// Stores a call, or finds the one that was stored with its key.
    ///
    /// Inserted first, read after: of two with one key at once, the second waits for the first.
    pub(crate) async fn insert(&self, draft: Draft) -> Result<Call, Error> {
        let call = self.call(draft)?;
        let same_key = Condition::all()
            .add(Column::Owner.eq(&call.owner))
            .add(Column::Method.eq(&call.method))
            .add(Column::IdempotencyKey.eq(call.idempotency_key.clone()));
        let transaction = self.store.begin().await?;
        let expired = same_key.clone().add(Column::ExpiresMs.lte(call.created_ms));
        entity::Entity::delete_many().filter(expired).exec(&transaction).await?;
        let insert = entity::Entity::insert(call.clone().into_active_model().reset_all());
        let insert = insert.on_conflict_do_nothing_on([Column::Owner, Column::Method, Column::IdempotencyKey]);
        if let TryInsertResult::Inserted(1..) = insert.exec_without_returning(&transaction).await? {
            if !self.has_room(&transaction, &call.owner).await? {
                return Err(Error::Full);
            }
            transaction.commit().await?;
            return Ok(call);
        }
        // Gone by now: it was taken back.
        let known = entity::Entity::find().filter(same_key).one(&transaction).await?.ok_or(Error::NotPromised)?;
        if fingerprint::is_of(&known.fingerprint, &call.request) { Ok(known) } else { Err(Error::KeyReused) }
    }

    /// Whether there is room for all calls, the one this transaction has just stored included.
    async fn has_room(&self, transaction: &Transaction, owner: &str) -> Result<bool, Error> {
        // Else two could take the last place.
        take_turns(transaction).await?;
        let anybodys = owner.is_empty();
        let unfinished = entity::Entity::find().filter(Column::State.is_in(State::UNFINISHED));
        // Many are nobody in particular: what of theirs has ended must not keep the others out.
        let own = if anybodys { unfinished.clone() } else { entity::Entity::find() }.filter(Column::Owner.eq(owner));
        let bytes = entity::Entity::find().select_only().expr(Column::StoredBytes.sum().cast_as("bigint"));
        let bytes: Option<Option<i64>> = bytes.into_tuple().one(transaction).await?;
        let bytes_max = if anybodys { self.config.stored_bytes_max / 2 } else { self.config.stored_bytes_max };
        Ok(unfinished.count(transaction).await? <= self.config.unfinished_max
            && own.count(transaction).await? <= self.config.per_owner_max
            && bytes.flatten().unwrap_or(0) <= bytes_max)
    }

    /// Promises a call, so that it is carried out; `false` when it was taken back, or when it was not `in_time` at the last
    /// moment before that is written.
    pub(crate) async fn confirm(&self, id: &str, in_time: impl Fn() -> bool) -> Result<bool, Error> {
        let transaction = self.store.begin().await?;
        let confirmed = entity::Entity::update_many()
            .col_expr(Column::Confirmed, Expr::value(true))
            .filter(Column::Id.eq(id))
            .exec(&transaction)
            .await?;
        if confirmed.rows_affected == 0 || !in_time() {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a call that nobody was promised, and tells whether there was one.
    pub(crate) async fn take_back(&self, id: &str) -> Result<bool, Error> {
        let removed = entity::Entity::delete_many()
            .filter(Column::Id.eq(id))
            .filter(Column::Confirmed.eq(false))
            .exec(&self.store.connection)
            .await?;
        Ok(removed.rows_affected > 0)
    }

    /// How a call stands, if there is one.
    pub(crate) async fn standing(&self, id: &str) -> Result<Option<Standing>, Error> {
        Ok(entity::Entity::find_by_id(id).into_partial_model().one(&self.store.connection).await?)
    }

    fn call(&self, draft: Draft) -> Result<Call, Error> {
        let now = (self.clock)();
        Ok(Call {
            id: Uuid::new_v4().simple().to_string(),
            owner: draft.owner,
            username: draft.username,
            method: draft.method,
            fingerprint: fingerprint::new(&draft.request).map_err(|_| Error::Random)?,
            stored_bytes: stored_bytes(&draft.request),
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
        })
    }
}

/// What a call takes of the room with its request, or with its result.
pub(super) fn stored_bytes(content: &[u8]) -> i64 {
    i64::try_from(content.len()).unwrap_or(i64::MAX).saturating_add(CALL_BYTES)
}

#[cfg(test)]
mod tests;
