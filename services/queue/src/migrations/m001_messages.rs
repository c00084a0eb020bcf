//! Messages, the queues' sizes, idempotency keys and tombstones.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Messages {
    Table,
    Seq,
    Id,
    Queue,
    PushedMs,
    VisibleMs,
    Receipt,
    Attempts,
    IsFinal,
    Body,
}

#[derive(DeriveIden)]
enum Queues {
    Table,
    Name,
    Stored,
}

#[derive(DeriveIden)]
enum Keys {
    Table,
    Queue,
    Key,
    Fingerprint,
    Id,
    PushedMs,
}

#[derive(DeriveIden)]
enum Acks {
    Table,
    Id,
    Receipt,
    AckedMs,
}

fn text(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).text().not_null().to_owned()
}

fn number(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).big_integer().not_null().to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let messages = Table::create()
            .table(Messages::Table)
            .col(number(Messages::Seq).auto_increment().primary_key())
            .col(text(Messages::Id).unique_key())
            .col(text(Messages::Queue))
            .col(number(Messages::PushedMs))
            .col(number(Messages::VisibleMs))
            .col(ColumnDef::new(Messages::Receipt).text())
            .col(ColumnDef::new(Messages::Attempts).integer().not_null())
            .col(ColumnDef::new(Messages::IsFinal).boolean().not_null())
            // Last, so that reading the others does not read through it.
            .col(ColumnDef::new(Messages::Body).blob().not_null())
            .to_owned();
        let queues = Table::create()
            .table(Queues::Table)
            .col(text(Queues::Name).primary_key())
            .col(number(Queues::Stored))
            .to_owned();
        let keys = Table::create()
            .table(Keys::Table)
            .col(text(Keys::Queue))
            .col(text(Keys::Key))
            .col(ColumnDef::new(Keys::Fingerprint).blob().not_null())
            .col(text(Keys::Id))
            .col(number(Keys::PushedMs))
            .primary_key(Index::create().col(Keys::Queue).col(Keys::Key))
            .to_owned();
        let acks = Table::create()
            .table(Acks::Table)
            .col(text(Acks::Id).primary_key())
            .col(text(Acks::Receipt))
            .col(number(Acks::AckedMs))
            .to_owned();
        for table in [messages, queues, keys, acks] {
            manager.create_table(table).await?;
        }
        // Finds the oldest ready messages, past those whose time is to come: replaced since.
        let in_order = Index::create()
            .name("messages_in_order")
            .table(Messages::Table)
            .col(Messages::Queue)
            .col(Messages::IsFinal)
            .col(Messages::Seq)
            .col(Messages::VisibleMs)
            .to_owned();
        manager.create_index(in_order).await?;
        // For the sweep, which looks at times only.
        let expiring = [
            Index::create().name("messages_by_visibility").table(Messages::Table).col(Messages::VisibleMs).to_owned(),
            Index::create().name("keys_by_time").table(Keys::Table).col(Keys::PushedMs).to_owned(),
            Index::create().name("acks_by_time").table(Acks::Table).col(Acks::AckedMs).to_owned(),
        ];
        for index in expiring {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
