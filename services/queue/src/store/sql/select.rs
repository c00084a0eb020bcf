//! Which messages are meant: the states of the table in [`super::entity::messages`] as conditions.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _};

use super::entity::messages::{self, Column};
use crate::store::Delivery;

/// Places (`seq`) of messages.
pub(in crate::store) type Selected = Select<messages::Entity>;

/// Those a receiver may have.
pub(in crate::store) fn ready(queue: &str, now: i64) -> Condition {
    visible(queue, now).add(Column::IsFinal.eq(false))
}

/// Those received too often.
pub(super) fn dead(queue: &str, now: i64) -> Condition {
    visible(queue, now).add(Column::IsFinal.eq(true))
}

fn visible(queue: &str, now: i64) -> Condition {
    // Known to have arrived or not; named because in the index it stands before the time.
    let either = Column::Arrived.is_in([false, true]);
    Condition::all().add(Column::Queue.eq(queue)).add(either).add(Column::VisibleMs.lte(now))
}

/// Those of which it is known that they are ready, or dead.
pub(in crate::store) fn arrived(queue: &str, dead: bool) -> Condition {
    Condition::all().add(Column::Queue.eq(queue)).add(Column::IsFinal.eq(dead)).add(Column::Arrived.eq(true))
}

/// Those that are, and of which it is not known yet.
pub(in crate::store) fn arriving(queue: &str, dead: bool, now: i64) -> Condition {
    let unknown = Condition::all().add(Column::Queue.eq(queue)).add(Column::IsFinal.eq(dead));
    unknown.add(Column::Arrived.eq(false)).add(Column::VisibleMs.lte(now))
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
pub(in crate::store) fn oldest(which: Condition, limit: u64) -> Selected {
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

/// The places of up to `limit` ones among `which`.
pub(in crate::store) fn places(which: Condition, limit: u64) -> Selected {
    messages::Entity::find().select_only().column(Column::Seq).filter(which).limit(limit)
}
