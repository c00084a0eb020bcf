//! Cities in the database, with a cache in front.

use std::time::Duration;

use malla_runtime::database::Store;
use moka::future::Cache;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _, Set};
use tokio::sync::RwLock;

use crate::config::Config;
use crate::error::Error;
use crate::rules::Place;

mod entity {
    use sea_orm::entity::prelude::*;

    /// A row of `cities`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
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
    cache: Cache<(String, String), City>,
    /// Held for reading while a city goes from store to cache, for writing while one is changed: so no reader can
    /// put back what a writer has just invalidated.
    filling: RwLock<()>,
}

impl Cities {
    pub(crate) fn new(store: Store, config: &Config) -> Self {
        let cache = Cache::builder()
            .max_capacity(config.cache_entries_max)
            .time_to_live(Duration::from_millis(config.cache_ttl_ms))
            .build();
        Self { store, cache, filling: RwLock::new(()) }
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
        let key = (place.country.clone(), place.key.clone());
        if let Some(city) = self.cache.get(&key).await {
            return Ok((city, true));
        }
        let _filling = self.filling.read().await;
        let found = entity::Entity::find_by_id(key.clone()).one(&self.store.connection).await?;
        let city = found.ok_or_else(|| unknown(place))?;
        self.cache.insert(key, city.clone()).await;
        Ok((city, false))
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
        let _filling = self.filling.write().await;
        self.invalidate(place).await;
        Ok(entity::Entity::insert(row).on_conflict(conflict).exec_with_returning(&self.store.connection).await?)
    }

    /// Changes a known city.
    pub(crate) async fn update(&self, place: &Place, active: bool) -> Result<City, Error> {
        let _filling = self.filling.write().await;
        self.invalidate(place).await;
        let changed = entity::Entity::update_many()
            .col_expr(entity::Column::Active, Expr::value(active))
            .filter(entity::Column::Country.eq(&place.country))
            .filter(entity::Column::Key.eq(&place.key))
            .exec_with_returning(&self.store.connection)
            .await?;
        changed.into_iter().next().ok_or_else(|| unknown(place))
    }

    /// Before the write, under its lock: a caller that leaves in the middle of one leaves nothing old behind.
    async fn invalidate(&self, place: &Place) {
        self.cache.invalidate(&(place.country.clone(), place.key.clone())).await;
    }
}

fn unknown(place: &Place) -> Error {
    Error::UnknownCity { country: place.country.clone(), city: place.city.clone() }
}
