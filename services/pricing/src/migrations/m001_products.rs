//! The tables of products and rules, and those a fresh store has: rain sells umbrellas, a clear sky ice cream.

use sea_orm_migration::prelude::*;
use uuid::Uuid;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Products {
    Table,
    Sku,
    Description,
    PriceMinor,
}

#[derive(DeriveIden)]
enum Rules {
    Table,
    Id,
    Sku,
    Country,
    City,
    CityKey,
    VariationMilli,
    MinCondition,
    MaxCondition,
}

const UMBRELLA: &str = "AZ00001";
const ICE_CREAM: &str = "AZ00002";
const FRESH_PRODUCTS: [(&str, &str, i64); 2] =
    [(UMBRELLA, "Paraguas de señora estampado", 1_000), (ICE_CREAM, "Helado de sabor fresa", 1_000)];
const FRESH_CITIES: [(&str, &str); 11] = [
    ("ni", "Managua"),
    ("ni", "Leon"),
    ("ni", "Rivas"),
    ("ni", "Jinotega"),
    ("ni", "Corn Island"),
    ("ni", "Nueva Guinea"),
    ("es", "Madrid"),
    ("es", "Barcelona"),
    ("es", "Valencia"),
    ("es", "Leon"),
    ("es", "Alcala de Henares"),
];
/// SKU, variation in thousandths, smallest and largest condition: the same in every city.
const FRESH_RULES: [(&str, i32, i32, i32); 4] =
    [(UMBRELLA, 1_500, 500, 599), (ICE_CREAM, 500, 500, 599), (UMBRELLA, 500, 800, 804), (ICE_CREAM, 1_500, 800, 804)];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager).await?;
        let mut products = Query::insert()
            .into_table(Products::Table)
            .columns([Products::Sku, Products::Description, Products::PriceMinor])
            .to_owned();
        for (sku, description, price_minor) in FRESH_PRODUCTS {
            products.values_panic([sku.into(), description.into(), price_minor.into()]);
        }
        manager.execute(products).await?;
        use Rules::{City, CityKey, Country, Id, MaxCondition, MinCondition, Sku, VariationMilli};
        let mut rules = Query::insert()
            .into_table(Rules::Table)
            .columns([Id, Sku, Country, City, CityKey, VariationMilli, MinCondition, MaxCondition])
            .to_owned();
        for (country, city) in FRESH_CITIES {
            for (sku, variation_milli, min, max) in FRESH_RULES {
                rules.values_panic([
                    Uuid::now_v7().to_string().into(),
                    sku.into(),
                    country.into(),
                    city.into(),
                    city.to_lowercase().into(),
                    variation_milli.into(),
                    min.into(),
                    max.into(),
                ]);
            }
        }
        manager.execute(rules).await
    }
}

async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let products = Table::create()
        .table(Products::Table)
        .col(ColumnDef::new(Products::Sku).text().not_null().primary_key())
        .col(ColumnDef::new(Products::Description).text().not_null())
        .col(ColumnDef::new(Products::PriceMinor).big_integer().not_null())
        .to_owned();
    manager.create_table(products).await?;
    let text = |column: Rules| ColumnDef::new(column).text().not_null().to_owned();
    let number = |column: Rules| ColumnDef::new(column).integer().not_null().to_owned();
    let rules = Table::create()
        .table(Rules::Table)
        .col(text(Rules::Id).primary_key())
        .col(text(Rules::Sku))
        .col(text(Rules::Country))
        .col(text(Rules::City))
        .col(text(Rules::CityKey))
        .col(number(Rules::VariationMilli))
        .col(number(Rules::MinCondition))
        .col(number(Rules::MaxCondition))
        .foreign_key(ForeignKey::create().from(Rules::Table, Rules::Sku).to(Products::Table, Products::Sku))
        .to_owned();
    manager.create_table(rules).await?;
    let by_place = Index::create()
        .name("rules_by_place")
        .table(Rules::Table)
        .col(Rules::Sku)
        .col(Rules::Country)
        .col(Rules::CityKey)
        .to_owned();
    manager.create_index(by_place).await
}
