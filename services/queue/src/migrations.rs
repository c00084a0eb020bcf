//! The service's tables, forward only.

mod m001_messages;
mod m002_key_counts;
mod m003_arrived;

use sea_orm_migration::prelude::*;

/// All migrations, in order.
#[derive(Debug)]
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m001_messages::Migration),
            Box::new(malla_storage::keyed::Migration),
            Box::new(m002_key_counts::Migration),
            Box::new(m003_arrived::Migration),
        ]
    }
}
