//! What limits the room calls take in all, and knows a request again that is no longer kept. Operations of before take no
//! room, and their keys are known with no request.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum Operations {
    Table,
    Fingerprint,
    StoredBytes,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            ColumnDef::new(Operations::Fingerprint).blob().not_null().default("").to_owned(),
            ColumnDef::new(Operations::StoredBytes).big_integer().not_null().default(0).to_owned(),
        ] {
            manager.alter_table(Table::alter().table(Operations::Table).add_column(column).to_owned()).await?;
        }
        // So that they are added up without a look at the rows.
        let by_bytes = Index::create()
            .name("operations_by_bytes")
            .table(Operations::Table)
            .col(Operations::StoredBytes)
            .to_owned();
        manager.create_index(by_bytes).await
    }
}
