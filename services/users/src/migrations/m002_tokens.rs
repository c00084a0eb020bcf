//! The keys that tokens are signed with, and the tokens revoked before they expired.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    Kid,
    X,
    Pkcs8,
    CreatedMs,
    ExpiresMs,
}

#[derive(DeriveIden)]
enum RevokedTokens {
    Table,
    Seq,
    Jti,
    ExpiresMs,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let keys = Table::create()
            .table(SigningKeys::Table)
            .col(ColumnDef::new(SigningKeys::Kid).text().not_null().primary_key())
            .col(ColumnDef::new(SigningKeys::X).text().not_null())
            .col(ColumnDef::new(SigningKeys::Pkcs8).blob().not_null())
            .col(ColumnDef::new(SigningKeys::CreatedMs).big_integer().not_null())
            .col(ColumnDef::new(SigningKeys::ExpiresMs).big_integer())
            .to_owned();
        manager.create_table(keys).await?;
        let revoked = Table::create()
            .table(RevokedTokens::Table)
            .col(ColumnDef::new(RevokedTokens::Seq).big_integer().not_null().auto_increment().primary_key())
            .col(ColumnDef::new(RevokedTokens::Jti).text().not_null().unique_key())
            .col(ColumnDef::new(RevokedTokens::ExpiresMs).big_integer().not_null())
            .to_owned();
        manager.create_table(revoked).await?;
        let by_expiry = Index::create()
            .name("revoked_tokens_by_expiry")
            .table(RevokedTokens::Table)
            .col(RevokedTokens::ExpiresMs)
            .to_owned();
        manager.create_index(by_expiry).await
    }
}
