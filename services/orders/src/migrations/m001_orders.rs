//! The tables of orders and of their lines.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Orders {
    Table,
    Id,
    Owner,
    OpenOwner,
    Version,
    TotalMinor,
    CreatedMs,
    ModifiedMs,
}

#[derive(DeriveIden)]
enum Lines {
    Table,
    OrderId,
    Sku,
    BeerId,
    Position,
    Quantity,
    UnitPriceMinor,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A unique column that is NULL once the order is closed: at most one open order for each owner, without a
        // partial index, which not every database has.
        let orders = Table::create()
            .table(Orders::Table)
            .col(ColumnDef::new(Orders::Id).text().not_null().primary_key())
            .col(ColumnDef::new(Orders::Owner).text().not_null())
            .col(ColumnDef::new(Orders::OpenOwner).text().unique_key())
            .col(ColumnDef::new(Orders::Version).big_integer().not_null())
            .col(ColumnDef::new(Orders::TotalMinor).big_integer())
            .col(ColumnDef::new(Orders::CreatedMs).big_integer().not_null())
            .col(ColumnDef::new(Orders::ModifiedMs).big_integer().not_null())
            .to_owned();
        manager.create_table(orders).await?;
        let by_owner =
            Index::create().name("orders_by_owner").table(Orders::Table).col(Orders::Owner).col(Orders::Id).to_owned();
        manager.create_index(by_owner).await?;
        let lines = Table::create()
            .table(Lines::Table)
            .col(ColumnDef::new(Lines::OrderId).text().not_null())
            .col(ColumnDef::new(Lines::Sku).text().not_null())
            .col(ColumnDef::new(Lines::BeerId).text().not_null())
            .col(ColumnDef::new(Lines::Position).big_integer().not_null())
            .col(ColumnDef::new(Lines::Quantity).integer().not_null())
            .col(ColumnDef::new(Lines::UnitPriceMinor).big_integer())
            .primary_key(Index::create().col(Lines::OrderId).col(Lines::Sku))
            .foreign_key(ForeignKey::create().from(Lines::Table, Lines::OrderId).to(Orders::Table, Orders::Id))
            .to_owned();
        manager.create_table(lines).await
    }
}
