//! The service's tables, forward only.

mod m001_operations;
mod m002_deferral;
mod m003_room;
mod m004_indexes;

use sea_orm_migration::prelude::*;

/// All migrations, in order.
#[derive(Debug)]
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m001_operations::Migration),
            Box::new(m002_deferral::Migration),
            Box::new(m003_room::Migration),
            Box::new(m004_indexes::Migration),
        ]
    }
}
