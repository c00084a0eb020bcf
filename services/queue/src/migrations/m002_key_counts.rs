//! How many idempotency keys each queue remembers.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum KeyCounts {
    Table,
    Queue,
    Keys,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let counts = Table::create()
            .table(KeyCounts::Table)
            .col(ColumnDef::new(KeyCounts::Queue).text().not_null().primary_key())
            .col(ColumnDef::new(KeyCounts::Keys).big_integer().not_null())
            .to_owned();
        manager.create_table(counts).await?;
        let known = "INSERT INTO key_counts (queue, keys) SELECT queue, count(*) FROM keys GROUP BY queue";
        manager.get_connection().execute_unprepared(known).await?;
        Ok(())
    }
}
