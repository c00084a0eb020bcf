//! The table of beers, and the beers a fresh store has.

use malla_storage::database::now_ms;
use sea_orm_migration::prelude::*;
use uuid::Uuid;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Beers {
    Table,
    Id,
    Sku,
    Name,
    PriceMinor,
    Image,
    CreatedMs,
    ModifiedMs,
}

const FRESH: [(&str, &str, i64); 3] =
    [("123456", "Бургаско", 119), ("123457", "Загорка", 200), ("123458", "Tuborg", 150)];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |column: Beers| ColumnDef::new(column).text().not_null().to_owned();
        let number = |column: Beers| ColumnDef::new(column).big_integer().not_null().to_owned();
        let table = Table::create()
            .table(Beers::Table)
            .col(text(Beers::Id).primary_key())
            .col(text(Beers::Sku).unique_key())
            .col(text(Beers::Name))
            .col(number(Beers::PriceMinor))
            .col(text(Beers::Image))
            .col(number(Beers::CreatedMs))
            .col(number(Beers::ModifiedMs))
            .to_owned();
        manager.create_table(table).await?;
        use Beers::{CreatedMs, Id, Image, ModifiedMs, Name, PriceMinor, Sku};
        let mut insert = Query::insert()
            .into_table(Beers::Table)
            .columns([Id, Sku, Name, PriceMinor, Image, CreatedMs, ModifiedMs])
            .to_owned();
        for (sku, name, price_minor) in FRESH {
            let (id, now) = (Uuid::now_v7().to_string(), now_ms());
            insert.values_panic([
                id.into(),
                sku.into(),
                name.into(),
                price_minor.into(),
                "".into(),
                now.into(),
                now.into(),
            ]);
        }
        manager.execute(insert).await
    }
}
