//! Indexes with all that workers, counts and lists ask of calls. Requests and results stand before most columns of a row,
//! and SQLite reads through them to what is behind.

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
    ExpiresMs,
    Confirmed,
    NextAttemptMs,
    RungMs,
    StoredBytes,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use Operations::{
            Confirmed, CreatedMs, ExpiresMs, Id, Method, NextAttemptMs, Owner, RungMs, State, StoredBytes, Table,
        };
        for (name, columns) in [
            ("operations_by_owner_and_time", &[Owner, CreatedMs, Id, State, Confirmed, ExpiresMs, StoredBytes][..]),
            ("operations_by_attempt", &[State, NextAttemptMs, Id, Confirmed, RungMs, CreatedMs, Owner, Method]),
        ] {
            manager.drop_index(Index::drop().name(name).table(Table).to_owned()).await?;
            let mut index = Index::create().name(name).table(Table).to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
