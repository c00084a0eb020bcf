//! What is remembered of messages that may have left: the keys they were pushed with, and tombstones of their receipts.

use std::collections::BTreeMap;

use malla_storage::database::{Store, Transaction};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ExprTrait as _, IntoActiveModel as _, QueryOrder as _, QuerySelect as _, Set, TryInsertResult};

use super::entity::{acks, key_counts, keys};
use crate::error::Error;
use crate::store::KEY_MS;

/// Rows forgotten in one statement, so that others get their turn; more of them if they are of the same millisecond.
pub(in crate::store) const FORGET_MAX: u64 = 500;

/// Keeps a key, unless it is known: then the id of the message pushed with it.
///
/// Inserted first, read after: of two that push with one key at once, the second waits for the first.
pub(super) async fn claim_key(
    transaction: &Transaction,
    claim: keys::Model,
    max: i64,
) -> Result<Option<String>, Error> {
    use keys::Column::{Key, Queue};
    let insert = keys::Entity::insert(claim.clone().into_active_model()).on_conflict_do_nothing_on([Queue, Key]);
    if let TryInsertResult::Inserted(1..) = insert.exec_without_returning(transaction).await? {
        return count_key(transaction, claim.queue, max).await.map(|()| None);
    }
    let by_key = keys::Entity::find_by_id((claim.queue.clone(), claim.key.clone()));
    match by_key.lock_exclusive().one(transaction).await? {
        Some(known) if known.pushed_ms <= claim.pushed_ms - KEY_MS => {
            keys::Entity::update(claim.into_active_model().reset_all()).exec(transaction).await?;
            Ok(None)
        }
        Some(known) if known.fingerprint == claim.fingerprint => Ok(Some(known.id)),
        Some(_) => Err(Error::KeyReused { key: claim.key }),
        // Its time was over, and a sweep took it in between.
        None => Err(Error::KeySwept),
    }
}

/// Counts a new key, if its queue may remember one more.
async fn count_key(transaction: &Transaction, queue: String, max: i64) -> Result<(), Error> {
    use key_counts::Column::{Keys, Queue};
    let row = key_counts::ActiveModel { queue: Set(queue.clone()), keys: Set(1) };
    let known = Expr::col((key_counts::Entity, Keys));
    let one_more =
        OnConflict::column(Queue).value(Keys, known.clone().add(1)).action_and_where(known.lt(max)).to_owned();
    match key_counts::Entity::insert(row).on_conflict(one_more).exec_without_returning(transaction).await? {
        0 => Err(Error::TooManyKeys { queue, max }),
        _ => Ok(()),
    }
}

/// Forgets keys up to a time.
pub(super) async fn forget_keys(store: &Store, end_ms: i64) -> Result<(), DbErr> {
    use key_counts::Column::{Keys, Queue};
    loop {
        let transaction = store.begin().await?;
        let step = step::<keys::Entity>(&transaction, keys::Column::PushedMs, end_ms).await?;
        let old = keys::Entity::delete_many().filter(keys::Column::PushedMs.lte(step.unwrap_or(end_ms)));
        let mut counts = BTreeMap::<String, i64>::new();
        for key in old.exec_with_returning(&transaction).await? {
            *counts.entry(key.queue).or_default() += 1;
        }
        for (queue, count) in counts {
            let fewer = key_counts::Entity::update_many().col_expr(Keys, Expr::col(Keys).sub(count));
            fewer.filter(Queue.eq(queue)).exec(&transaction).await?;
        }
        key_counts::Entity::delete_many().filter(Keys.lte(0)).exec(&transaction).await?;
        transaction.commit().await?;
        if step.is_none() {
            return Ok(());
        }
    }
}

/// Forgets tombstones up to a time.
pub(super) async fn forget_acks(store: &Store, end_ms: i64) -> Result<(), DbErr> {
    use acks::Column::AckedMs;
    loop {
        let step = step::<acks::Entity>(&store.connection, AckedMs, end_ms).await?;
        let old = acks::Entity::delete_many().filter(AckedMs.lte(step.unwrap_or(end_ms)));
        old.exec(&store.connection).await?;
        if step.is_none() {
            return Ok(());
        }
    }
}

/// The time of the last row that a step to `end_ms` takes; none when it takes all that are left.
async fn step<E: EntityTrait>(
    connection: &impl ConnectionTrait,
    time: E::Column,
    end_ms: i64,
) -> Result<Option<i64>, DbErr> {
    let old = E::find().select_only().column(time).filter(time.lte(end_ms)).order_by_asc(time);
    old.offset(FORGET_MAX - 1).limit(1).into_tuple().one(connection).await
}
