//! Which messages are known to have arrived, so that the oldest of them is found without those whose time is to come. Nothing
//! is known yet of those of before: looks find out, a step at a time.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum Messages {
    Table,
    Seq,
    Queue,
    VisibleMs,
    IsFinal,
    Arrived,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use Messages::{Arrived, IsFinal, Queue, Seq, Table, VisibleMs};
        let arrived = ColumnDef::new(Arrived).boolean().not_null().default(false).to_owned();
        manager.alter_table(sea_query::Table::alter().table(Table).add_column(arrived).to_owned()).await?;
        manager.drop_index(Index::drop().name("messages_in_order").table(Table).to_owned()).await?;
        for (name, last) in [
            // Finds the oldest that have arrived.
            ("messages_in_order", Seq),
            // Finds those that have arrived since, and counts, without touching a row.
            ("messages_by_arrival", VisibleMs),
        ] {
            let index =
                Index::create().name(name).table(Table).col(Queue).col(IsFinal).col(Arrived).col(last).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
