//! The table of cities, and the cities a fresh store knows: the pricing rules name them, so they exist.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Cities {
    Table,
    Country,
    Key,
    City,
    Active,
}

const FRESH: [(&str, &str, bool); 11] = [
    ("ni", "Managua", false),
    ("ni", "Leon", true),
    ("ni", "Rivas", false),
    ("ni", "Jinotega", false),
    ("ni", "Corn Island", false),
    ("ni", "Nueva Guinea", false),
    ("es", "Madrid", false),
    ("es", "Barcelona", false),
    ("es", "Valencia", false),
    ("es", "Leon", false),
    ("es", "Alcala de Henares", false),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |column: Cities| ColumnDef::new(column).text().not_null().to_owned();
        let table = Table::create()
            .table(Cities::Table)
            .col(text(Cities::Country))
            .col(text(Cities::Key))
            .col(text(Cities::City))
            .col(ColumnDef::new(Cities::Active).boolean().not_null())
            .primary_key(Index::create().col(Cities::Country).col(Cities::Key))
            .to_owned();
        manager.create_table(table).await?;
        let mut insert = Query::insert()
            .into_table(Cities::Table)
            .columns([Cities::Country, Cities::Key, Cities::City, Cities::Active])
            .to_owned();
        for (country, city, active) in FRESH {
            insert.values_panic([country.into(), city.to_lowercase().into(), city.into(), active.into()]);
        }
        manager.execute(insert).await
    }
}
