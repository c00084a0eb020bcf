//! Cities in the database, with a cache in front.

use std::time::Duration;

use malla_storage::cache::Cache;
use malla_storage::database::Store;
use malla_storage::redis;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _, Set};

use crate::config::Config;
use crate::error::Error;
use crate::rules::Place;

mod entity {
    use sea_orm::entity::prelude::*;
    use serde::{Deserialize, Serialize};

    /// A row of `cities`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, DeriveEntityModel)]
    #[sea_orm(table_name = "cities")]
    pub(crate) struct Model {
        /// ISO 3166-1 alpha-2 code, lower case.
        #[sea_orm(primary_key, auto_increment = false)]
        pub country: String,
        /// The name in lower case.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        /// The name as first stored.
        pub city: String,
        /// Whether sales are open.
        pub active: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) use entity::Model as City;

/// All cities.
#[derive(Debug)]
pub(crate) struct Cities {
    store: Store,
    cache: Cache<City>,
}

impl Cities {
    pub(crate) fn new(store: Store, config: &Config) -> Result<Self, redis::Error> {
        let ttl = Duration::from_millis(config.cache_ttl_ms);
        let cache = Cache::new("cities", config.cache_entries_max, ttl, &config.redis)?;
        Ok(Self { store, cache })
    }

    /// Up to `limit` cities after the one with this country and key, ordered by them.
    pub(crate) async fn list(
        &self,
        inactive_too: bool,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<City>, Error> {
        use entity::Column::{Active, Country, Key};
        let mut query = entity::Entity::find().order_by_asc(Country).order_by_asc(Key).limit(u64::from(limit));
        if !inactive_too {
            query = query.filter(Active.eq(true));
        }
        if let Some((country, key)) = after {
            let same_country = Condition::all().add(Country.eq(&country)).add(Key.gt(key));
            query = query.filter(Condition::any().add(Country.gt(country)).add(same_country));
        }
        Ok(query.all(&self.store.connection).await?)
    }

    /// A city, and whether it came from the cache.
    pub(crate) async fn get(&self, place: &Place) -> Result<(City, bool), Error> {
        let load = async {
            let key = (place.country.clone(), place.key.clone());
            let found = entity::Entity::find_by_id(key).one(&self.store.connection).await?;
            found.ok_or_else(|| unknown(place))
        };
        Ok(self.cache.get(&name(place), load).await?)
    }

    /// Stores a city; one that is known keeps its spelling.
    pub(crate) async fn upsert(&self, place: &Place, active: bool) -> Result<City, Error> {
        let row = entity::ActiveModel {
            country: Set(place.country.clone()),
            key: Set(place.key.clone()),
            city: Set(place.city.clone()),
            active: Set(active),
        };
        let conflict = OnConflict::columns([entity::Column::Country, entity::Column::Key])
            .update_column(entity::Column::Active)
            .to_owned();
        let connection = self.store.connection.clone();
        let write =
            async move { entity::Entity::insert(row).on_conflict(conflict).exec_with_returning(&connection).await };
        Ok(self.cache.change(&self.store, &name(place), write).await?)
    }

    /// Changes a known city.
    pub(crate) async fn update(&self, place: &Place, active: bool) -> Result<City, Error> {
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::Active, Expr::value(active))
            .filter(entity::Column::Country.eq(&place.country))
            .filter(entity::Column::Key.eq(&place.key));
        let connection = self.store.connection.clone();
        let write = async move { update.exec_with_returning(&connection).await };
        let changed = self.cache.change(&self.store, &name(place), write).await?;
        changed.into_iter().next().ok_or_else(|| unknown(place))
    }
}

/// A city's name in the cache.
fn name(place: &Place) -> String {
    format!("{}/{}", place.country, place.key)
}

fn unknown(place: &Place) -> Error {
    Error::UnknownCity { country: place.country.clone(), city: place.city.clone() }
}
