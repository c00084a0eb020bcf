//! The table of operations.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Operations {
    Table,
    Id,
    Owner,
    Method,
    Request,
    State,
    Response,
    Error,
    Attempts,
    CreatedMs,
    ModifiedMs,
    ExpiresMs,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |column: Operations| ColumnDef::new(column).text().not_null().to_owned();
        let time = |column: Operations| ColumnDef::new(column).big_integer().not_null().to_owned();
        let table = Table::create()
            .table(Operations::Table)
            .col(text(Operations::Id).primary_key())
            .col(text(Operations::Owner))
            .col(text(Operations::Method))
            .col(ColumnDef::new(Operations::Request).blob().not_null())
            .col(text(Operations::State))
            .col(ColumnDef::new(Operations::Response).blob())
            .col(ColumnDef::new(Operations::Error).blob())
            .col(ColumnDef::new(Operations::Attempts).integer().not_null())
            .col(time(Operations::CreatedMs))
            .col(time(Operations::ModifiedMs))
            .col(ColumnDef::new(Operations::ExpiresMs).big_integer())
            .to_owned();
        manager.create_table(table).await?;
        let by_owner = Index::create()
            .name("operations_by_owner")
            .table(Operations::Table)
            .col(Operations::Owner)
            .col(Operations::Id)
            .to_owned();
        manager.create_index(by_owner).await?;
        let by_expiry =
            Index::create().name("operations_by_expiry").table(Operations::Table).col(Operations::ExpiresMs).to_owned();
        manager.create_index(by_expiry).await
    }
}
