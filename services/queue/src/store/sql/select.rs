//! Which messages are meant: the states of the table in [`super::entity::messages`] as conditions.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _};

use super::entity::messages::{self, Column};
use crate::store::Delivery;

/// Places (`seq`) of messages.
pub(in crate::store) type Selected = Select<messages::Entity>;

/// Those a receiver may have.
pub(super) fn ready(queue: &str, now: i64) -> Condition {
    arrived(queue, now).add(Column::IsFinal.eq(false))
}

/// Those received too often.
pub(super) fn dead(queue: &str, now: i64) -> Condition {
    arrived(queue, now).add(Column::IsFinal.eq(true))
}

fn arrived(queue: &str, now: i64) -> Condition {
    Condition::all().add(Column::Queue.eq(queue)).add(Column::VisibleMs.lte(now))
}

/// The one this delivery holds, if its lease has not ended.
pub(super) fn leased(Delivery { queue, id, receipt }: &Delivery, now: i64) -> Condition {
    Condition::all()
        .add(Column::Id.eq(id))
        .add(Column::Queue.eq(queue))
        .add(Column::Receipt.eq(receipt))
        .add(Column::VisibleMs.gt(now))
}

/// The places of the `limit` oldest ones among `which`.
pub(super) fn oldest(which: Condition, limit: u64) -> Selected {
    places(which, limit).order_by_asc(Column::Seq)
}

/// The places of the `limit` ones among `which` that have been visible for longest.
pub(in crate::store) fn longest_visible(which: Condition, limit: u64) -> Selected {
    places(which, limit).order_by_asc(Column::VisibleMs)
}

/// The same, for a transaction that changes them: locked, without those that another has locked.
pub(super) fn locked(selected: Selected) -> Selected {
    selected.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
}

fn places(which: Condition, limit: u64) -> Selected {
    messages::Entity::find().select_only().column(Column::Seq).filter(which).limit(limit)
}
