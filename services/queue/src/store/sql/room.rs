//! How many messages the queues hold: every message comes in and goes out here, and is counted with it.

use std::collections::BTreeMap;

use malla_storage::database::{Transaction, take_turns};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ExprTrait as _, Set};

use super::entity::messages::{self, Column::Seq, Model as Message};
use super::entity::queues::{self, Column::Name, Column::Stored};
use super::select::Selected;
use crate::config::Config;
use crate::error::Error;

/// Takes room for one message in a queue, and opens the queue if it is new.
pub(super) async fn take(transaction: &Transaction, config: &Config, queue: &str) -> Result<(), Error> {
    let max = config.messages_max;
    let taken = queues::Entity::update_many()
        .col_expr(Stored, Expr::col(Stored).add(1))
        .filter(Name.eq(queue))
        .filter(Stored.lt(max))
        .exec(transaction)
        .await?;
    if taken.rows_affected > 0 {
        return Ok(());
    }
    let queue = queue.to_owned();
    // Where transactions do not take turns anyway, another may be opening this queue, or the last one there may be.
    take_turns(transaction).await?;
    match queues::Entity::find_by_id(&queue).one(transaction).await? {
        Some(found) if found.stored >= max => return Err(Error::QueueFull { queue, max }),
        Some(_) => {}
        None => {
            let max = config.queues_max;
            if queues::Entity::find().count(transaction).await? >= max.unsigned_abs() {
                return Err(Error::TooManyQueues { queue, max });
            }
        }
    }
    let row = queues::ActiveModel { name: Set(queue), stored: Set(1) };
    let one_more = Expr::col((queues::Entity, Stored)).add(1);
    let opened = OnConflict::column(Name).value(Stored, one_more).to_owned();
    queues::Entity::insert(row).on_conflict(opened).exec_without_returning(transaction).await?;
    Ok(())
}

/// Removes the selected messages.
pub(super) async fn remove(transaction: &Transaction, selected: Selected) -> Result<Vec<Message>, DbErr> {
    // Not as a subquery: PostgreSQL may ask that one again for each message, and find others each time.
    let chosen: Vec<i64> = selected.into_tuple().all(transaction).await?;
    let removed = messages::Entity::delete_many().filter(Seq.is_in(chosen)).exec_with_returning(transaction).await?;
    let mut counts = BTreeMap::<&str, i64>::new();
    for message in &removed {
        *counts.entry(&message.queue).or_default() += 1;
    }
    for (queue, count) in counts {
        queues::Entity::update_many()
            .col_expr(Stored, Expr::col(Stored).sub(count))
            .filter(Name.eq(queue))
            .exec(transaction)
            .await?;
    }
    Ok(removed)
}
