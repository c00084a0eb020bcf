//! The service's tables, forward only.

mod m001_products;

use sea_orm_migration::prelude::*;

/// All migrations, in order.
#[derive(Debug)]
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m001_products::Migration), Box::new(malla_storage::keyed::Migration)]
    }
}
