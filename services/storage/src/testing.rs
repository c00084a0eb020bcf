//! The same test on every database: a test takes a [`Place`], and [`on_every_database!`](crate::on_every_database) lists
//! it.

use malla_runtime::config::Secret;
use malla_runtime::module::Context;
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;

use crate::database::{Config, Store};

/// A data dir and an empty database for one test. A store opened in it twice is what two processes share.
#[derive(Debug)]
pub struct Place {
    /// A data dir with nothing else.
    pub dir: TempDir,
    /// The database's settings.
    pub config: Config,
}

impl Place {
    /// SQLite in the data dir.
    ///
    /// # Panics
    /// When there is no folder to be had.
    #[must_use]
    pub fn sqlite() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), config: Config::default() }
    }

    /// A new database on a PostgreSQL of the test's process; `None`, loudly, where it is not installed.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn postgres() -> Option<Self> {
        let url = Secret::new(malla_servers::fresh_database()?);
        Some(Self { config: Config { url, ..Config::default() }, ..Self::sqlite() })
    }

    /// Opens the store of a service.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open<M: MigratorTrait>(&self, service: &str) -> Store {
        let context = Context::alone(self.dir.path().to_owned());
        Store::open::<M>(service, &self.config, &context).await.expect("a store")
    }
}

/// Makes two tests of each function `async fn name(place: Place)`: `sqlite::name` and `postgres::name`. One that is not
/// listed is unused code, which the compiler reports.
#[macro_export]
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $test() {
                    super::$test($crate::testing::Place::sqlite()).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $test() {
                    if let Some(place) = $crate::testing::Place::postgres() {
                        super::$test(place).await;
                    }
                }
            )+
        }
    };
}
