//! Beers in the database.

use malla_runtime::status::shown;
use malla_storage::database::{Store, now_ms};
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder as _, QuerySelect as _, Set, SqlErr};
use uuid::Uuid;

use crate::error::Error;
use crate::rules::Fields;

mod entity {
    use sea_orm::entity::prelude::*;

    /// A row of `beers`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "beers")]
    pub(crate) struct Model {
        /// UUID version 7.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// The key, unique.
        pub sku: String,
        /// Its name.
        pub name: String,
        /// The price in minor units.
        pub price_minor: i64,
        /// Address of a picture; may be empty.
        pub image: String,
        /// When it was added, in milliseconds since 1970.
        pub created_ms: i64,
        /// When it was last changed, in milliseconds since 1970.
        pub modified_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) use entity::Model as Beer;

use entity::Column::{Image, ModifiedMs, Name, PriceMinor, Sku};

/// All beers.
#[derive(Debug)]
pub(crate) struct Catalogue {
    store: Store,
}

impl Catalogue {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Up to `limit` beers after the one with this SKU, ordered by SKU.
    pub(crate) async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<Beer>, Error> {
        let mut query = entity::Entity::find().order_by_asc(Sku).limit(u64::from(limit));
        if let Some(sku) = after {
            query = query.filter(Sku.gt(sku));
        }
        Ok(query.all(&self.store.connection).await?)
    }

    pub(crate) async fn get(&self, sku: &str) -> Result<Beer, Error> {
        let found = entity::Entity::find().filter(Sku.eq(sku)).one(&self.store.connection).await?;
        found.ok_or_else(|| unknown(sku))
    }

    /// Adds a beer; fields that are not given are empty.
    pub(crate) async fn create(&self, sku: &str, fields: Fields) -> Result<Beer, Error> {
        let now = now_ms();
        let row = entity::ActiveModel {
            id: Set(Uuid::now_v7().to_string()),
            sku: Set(sku.to_owned()),
            name: Set(fields.name.unwrap_or_default()),
            price_minor: Set(fields.price_minor.unwrap_or_default()),
            image: Set(fields.image.unwrap_or_default()),
            created_ms: Set(now),
            modified_ms: Set(now),
        };
        let stored = entity::Entity::insert(row).exec_with_returning(&self.store.connection).await;
        stored.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Error::TakenSku(sku.to_owned()),
            _ => error.into(),
        })
    }

    /// Changes the fields that are given of a known beer.
    pub(crate) async fn update(&self, sku: &str, fields: Fields) -> Result<Beer, Error> {
        if fields == Fields::default() {
            return self.get(sku).await;
        }
        let mut update = entity::Entity::update_many().col_expr(ModifiedMs, Expr::value(now_ms())).filter(Sku.eq(sku));
        if let Some(name) = fields.name {
            update = update.col_expr(Name, Expr::value(name));
        }
        if let Some(price_minor) = fields.price_minor {
            update = update.col_expr(PriceMinor, Expr::value(price_minor));
        }
        if let Some(image) = fields.image {
            update = update.col_expr(Image, Expr::value(image));
        }
        let changed = update.exec_with_returning(&self.store.connection).await?;
        changed.into_iter().next().ok_or_else(|| unknown(sku))
    }

    pub(crate) async fn delete(&self, sku: &str) -> Result<(), Error> {
        let deleted = entity::Entity::delete_many().filter(Sku.eq(sku)).exec(&self.store.connection).await?;
        if deleted.rows_affected == 0 { Err(unknown(sku)) } else { Ok(()) }
    }
}

fn unknown(sku: &str) -> Error {
    Error::UnknownBeer(shown(sku))
}
