//! The table of idempotency keys, the same in every service.

use sea_orm_migration::prelude::*;

/// Makes the table `idempotency_keys`.
#[derive(Debug)]
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "idempotency_keys"
    }
}

#[derive(DeriveIden)]
enum IdempotencyKeys {
    Table,
    Id,
    Fingerprint,
    Attempt,
    LeaseMs,
    CreatedMs,
    Answer,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let number = |column: IdempotencyKeys| ColumnDef::new(column).big_integer().not_null().to_owned();
        let keys = Table::create()
            .table(IdempotencyKeys::Table)
            .col(ColumnDef::new(IdempotencyKeys::Id).text().not_null().primary_key())
            .col(ColumnDef::new(IdempotencyKeys::Fingerprint).blob().not_null())
            .col(ColumnDef::new(IdempotencyKeys::Attempt).text().not_null())
            .col(number(IdempotencyKeys::LeaseMs))
            .col(number(IdempotencyKeys::CreatedMs))
            .col(ColumnDef::new(IdempotencyKeys::Answer).blob())
            .to_owned();
        manager.create_table(keys).await?;
        let by_age = Index::create()
            .name("idempotency_keys_by_age")
            .table(IdempotencyKeys::Table)
            .col(IdempotencyKeys::CreatedMs)
            .to_owned();
        manager.create_index(by_age).await
    }
}
