//! What accepting calls and carrying them out adds to an operation. Operations were never accepted before, so the
//! defaults are nobody's.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum Operations {
    Table,
    Id,
    Owner,
    Method,
    State,
    CreatedMs,
    Username,
    IdempotencyKey,
    ResponseType,
    Confirmed,
    Crashes,
    DeadlineMs,
    NextAttemptMs,
    RungMs,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |column: Operations| ColumnDef::new(column).text().not_null().default("").to_owned();
        let number = |column: Operations| ColumnDef::new(column).integer().not_null().default(0).to_owned();
        let time = |column: Operations| ColumnDef::new(column).big_integer().not_null().default(0).to_owned();
        let columns = [
            text(Operations::Username),
            // NULL where there was none: unlike '' it may come twice in a unique index.
            ColumnDef::new(Operations::IdempotencyKey).text().to_owned(),
            text(Operations::ResponseType),
            ColumnDef::new(Operations::Confirmed).boolean().not_null().default(false).to_owned(),
            number(Operations::Crashes),
            time(Operations::DeadlineMs),
            time(Operations::NextAttemptMs),
            time(Operations::RungMs),
        ];
        for column in columns {
            // SQLite adds one column at a time.
            manager.alter_table(Table::alter().table(Operations::Table).add_column(column).to_owned()).await?;
        }
        let by_owner = Index::drop().name("operations_by_owner").table(Operations::Table).to_owned();
        manager.drop_index(by_owner).await?;
        for (name, columns) in [
            // Ids no longer sort by time.
            ("operations_by_owner_and_time", [Operations::Owner, Operations::CreatedMs, Operations::Id].as_slice()),
            ("operations_by_attempt", &[Operations::State, Operations::NextAttemptMs]),
            ("operations_by_key", &[Operations::Owner, Operations::Method, Operations::IdempotencyKey]),
        ] {
            let mut index = Index::create().name(name).table(Operations::Table).to_owned();
            for column in columns {
                index.col(*column);
            }
            if name == "operations_by_key" {
                index.unique();
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
