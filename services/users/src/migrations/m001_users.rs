//! The table of accounts. The unique columns are what makes usernames and addresses unique.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Users {
    Table,
    Id,
    Username,
    UsernameKey,
    Email,
    EmailKey,
    FirstName,
    LastName,
    PasswordHash,
    RegisteredMs,
    ModifiedMs,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |column: Users| ColumnDef::new(column).text().not_null().to_owned();
        let time = |column: Users| ColumnDef::new(column).big_integer().not_null().to_owned();
        let table = Table::create()
            .table(Users::Table)
            .col(text(Users::Id).primary_key())
            .col(text(Users::Username))
            .col(text(Users::UsernameKey).unique_key())
            .col(text(Users::Email))
            .col(text(Users::EmailKey).unique_key())
            .col(text(Users::FirstName))
            .col(text(Users::LastName))
            .col(text(Users::PasswordHash))
            .col(time(Users::RegisteredMs))
            .col(time(Users::ModifiedMs))
            .to_owned();
        manager.create_table(table).await
    }
}
