//! Products and rules in the database.

mod entity;

use malla_runtime::status::shown;
use malla_storage::database::Store;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{QueryOrder as _, QuerySelect as _, Set};
use uuid::Uuid;

use crate::error::Error;
use crate::rules::{Place, Product, RULES_MAX, Rule};

use entity::{products, rules};

/// All products and their rules.
#[derive(Debug)]
pub(crate) struct Products {
    store: Store,
}

impl Products {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Up to `limit` products after the one with this SKU, ordered by SKU.
    pub(crate) async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<Product>, Error> {
        use products::Column::Sku;
        let mut query = products::Entity::find().order_by_asc(Sku).limit(u64::from(limit));
        if let Some(sku) = after {
            query = query.filter(Sku.gt(sku));
        }
        Ok(query.all(&self.store.connection).await?.into_iter().map(Into::into).collect())
    }

    pub(crate) async fn get(&self, sku: &str) -> Result<Product, Error> {
        let found = products::Entity::find_by_id(sku).one(&self.store.connection).await?;
        found.map(Into::into).ok_or_else(|| unknown(sku))
    }

    /// Stores a product in place of the one with its SKU, if there is one.
    pub(crate) async fn upsert(&self, product: &Product) -> Result<(), Error> {
        let row = products::ActiveModel {
            sku: Set(product.sku.clone()),
            description: Set(product.description.clone()),
            price_minor: Set(product.price_minor),
        };
        let conflict = OnConflict::column(products::Column::Sku)
            .update_columns([products::Column::Description, products::Column::PriceMinor])
            .to_owned();
        products::Entity::insert(row).on_conflict(conflict).exec_without_returning(&self.store.connection).await?;
        Ok(())
    }

    /// The rules of a product with their ids, ordered by country, city and smallest condition.
    pub(crate) async fn rules(&self, sku: &str) -> Result<Vec<(String, Rule)>, Error> {
        use rules::Column::{CityKey, Country, Id, MinCondition, Sku};
        self.get(sku).await?;
        let query = rules::Entity::find().filter(Sku.eq(sku)).order_by_asc(Country).order_by_asc(CityKey);
        let found = query.order_by_asc(MinCondition).order_by_asc(Id).all(&self.store.connection).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// The rules of a product for one place.
    pub(crate) async fn rules_at(&self, sku: &str, place: &Place) -> Result<Vec<Rule>, Error> {
        use rules::Column::{CityKey, Country, Sku};
        let query =
            rules::Entity::find().filter(Sku.eq(sku)).filter(Country.eq(&place.country)).filter(CityKey.eq(&place.key));
        let found = query.all(&self.store.connection).await?;
        Ok(found.into_iter().map(|row| <(String, Rule)>::from(row).1).collect())
    }

    /// Adds a rule to a known product; returns its id.
    pub(crate) async fn create_rule(&self, sku: &str, rule: &Rule) -> Result<String, Error> {
        let transaction = self.store.begin().await?;
        // The product's row is the lock under which its rules are counted.
        let product = products::Entity::find_by_id(sku).lock_exclusive().one(&transaction).await?;
        product.ok_or_else(|| unknown(sku))?;
        if rules::Entity::find().filter(rules::Column::Sku.eq(sku)).count(&transaction).await? >= RULES_MAX {
            return Err(Error::TooManyRules);
        }
        let id = Uuid::now_v7().to_string();
        let row = rules::ActiveModel {
            id: Set(id.clone()),
            sku: Set(sku.to_owned()),
            country: Set(rule.place.country.clone()),
            city: Set(rule.place.city.clone()),
            city_key: Set(rule.place.key.clone()),
            variation_milli: Set(rule.variation_milli),
            min_condition: Set(rule.min_condition),
            max_condition: Set(rule.max_condition),
        };
        rules::Entity::insert(row).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(id)
    }

    pub(crate) async fn delete_rule(&self, sku: &str, id: &str) -> Result<(), Error> {
        let query = rules::Entity::delete_many().filter(rules::Column::Id.eq(id)).filter(rules::Column::Sku.eq(sku));
        if query.exec(&self.store.connection).await?.rows_affected == 0 {
            return Err(Error::UnknownRule(shown(id)));
        }
        Ok(())
    }
}

impl From<products::Model> for Product {
    fn from(products::Model { sku, description, price_minor }: products::Model) -> Self {
        Self { sku, description, price_minor }
    }
}

impl From<rules::Model> for (String, Rule) {
    fn from(row: rules::Model) -> Self {
        let place = Place { country: row.country, city: row.city, key: row.city_key };
        let rules::Model { variation_milli, min_condition, max_condition, .. } = row;
        (row.id, Rule { place, variation_milli, min_condition, max_condition })
    }
}

fn unknown(sku: &str) -> Error {
    Error::UnknownProduct(shown(sku))
}
