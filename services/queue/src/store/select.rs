//! Which messages are meant: the states of the table in [`crate::tables::messages`] as conditions.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType, SelectStatement};
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _, QueryTrait as _};

use super::Delivery;
use crate::tables::messages::{self, Column};

/// Those a receiver may have.
pub(super) fn ready(queue: &str, now: i64) -> Condition {
    arrived(queue, now).add(Column::IsFinal.eq(false))
}

/// Those received too often.
pub(super) fn dead(queue: &str, now: i64) -> Condition {
    arrived(queue, now).add(Column::IsFinal.eq(true))
}

fn arrived(queue: &str, now: i64) -> Condition {
    Condition::all().add(Column::Queue.eq(queue)).add(Column::VisibleAt.lte(now))
}

/// The one this delivery holds, if its lease has not ended.
pub(super) fn leased(Delivery { queue, id, receipt }: &Delivery, now: i64) -> Condition {
    Condition::all()
        .add(Column::Id.eq(id))
        .add(Column::Queue.eq(queue))
        .add(Column::Receipt.eq(receipt))
        .add(Column::VisibleAt.gt(now))
}

/// The `limit` oldest ones among `which`, as a subquery for a statement that changes them.
pub(super) fn oldest(which: Condition, limit: u64) -> SelectStatement {
    messages::Entity::find()
        .select_only()
        .column(Column::Seq)
        .filter(which)
        .order_by_asc(Column::Seq)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query()
}
