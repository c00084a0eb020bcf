//! The table of comments, and the one row that numbers them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Comments {
    Table,
    Position,
    ContentId,
    Email,
    Comment,
    CreatedMs,
}

#[derive(DeriveIden)]
enum LastPosition {
    Table,
    Id,
    Position,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |column: Comments| ColumnDef::new(column).text().not_null().to_owned();
        let comments = Table::create()
            .table(Comments::Table)
            .col(ColumnDef::new(Comments::Position).big_integer().not_null().primary_key())
            .col(text(Comments::ContentId))
            .col(text(Comments::Email))
            .col(text(Comments::Comment))
            .col(ColumnDef::new(Comments::CreatedMs).big_integer().not_null())
            .to_owned();
        manager.create_table(comments).await?;
        let by_content = Index::create()
            .name("comments_by_content")
            .table(Comments::Table)
            .col(Comments::ContentId)
            .col(Comments::Position)
            .to_owned();
        manager.create_index(by_content).await?;

        let last = Table::create()
            .table(LastPosition::Table)
            .col(ColumnDef::new(LastPosition::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(LastPosition::Position).big_integer().not_null())
            .to_owned();
        manager.create_table(last).await?;
        let zero = Query::insert()
            .into_table(LastPosition::Table)
            .columns([LastPosition::Id, LastPosition::Position])
            .values_panic([1.into(), 0_i64.into()])
            .to_owned();
        manager.execute(zero).await
    }
}
