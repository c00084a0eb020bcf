//! Connecting to a service's database, and making its tables.

use std::time::Duration;

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions as _};
use sea_orm::{ConnectionTrait as _, DatabaseBackend, DbErr, SqlxPostgresConnector, SqlxSqliteConnector, Statement};
use sea_orm_migration::MigratorTrait;

use malla_runtime::module::{Context, StartError};

use super::config::is_postgres;
use super::{Config, Connection, Store, Transaction, take_turns};

/// How long a transaction may be left alone with what it has locked.
const IDLE_MS: u128 = 10_000;

/// Makes all text columns sort by their bytes, as they do in SQLite, whatever the database's own order is: pages go on
/// after the last key seen, and must do so alike everywhere. New tables are empty, and columns that are right already are
/// left alone.
const ORDER_BY_BYTES: &str = r#"
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"', found.table_name, found.column_name);
    END LOOP;
END $$"#;

impl Store {
    /// Opens the database of `service` and applies the migrations it lacks.
    ///
    /// # Errors
    /// When the database cannot be opened or migrated; the text names it.
    pub async fn open<M: MigratorTrait>(service: &str, config: &Config, context: &Context) -> Result<Self, StartError> {
        let url = config.url.expose();
        let schema = is_postgres(url).then(|| config.schema(service));
        let (place, connected) = if let Some(schema) = schema {
            let options = postgres(url, schema, config)?;
            let database = options.get_database().unwrap_or(options.get_username());
            let place = format!("postgres {}:{}/{database} schema {schema}", options.get_host(), options.get_port());
            let pool = pool(config).connect_with(options).await;
            (place, pool.map(SqlxPostgresConnector::from_sqlx_postgres_pool))
        } else {
            let options = if url.is_empty() {
                let file = context.data_dir.join(format!("{service}.db"));
                SqliteConnectOptions::new().filename(file).create_if_missing(true)
            } else {
                url.parse()?
            };
            let options = options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(config.lock())
                .disable_statement_logging();
            let place = format!("sqlite {}", options.get_filename().display());
            let pool = pool(config).connect_with(options).await;
            (place, pool.map(SqlxSqliteConnector::from_sqlx_sqlite_pool))
        };
        let connection = connected.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => format!("{place} cannot be opened: no answer for {} ms", config.acquire_ms),
            error => format!("{place} cannot be opened: {error}"),
        })?;
        let store = Self { connection: Connection::new(connection, config.lock()), place };
        store.migrate::<M>(schema).await.map_err(|error| format!("{} cannot be opened: {error}", store.place))?;
        Ok(store)
    }

    /// Processes that start at once take turns; what one of them has begun and could not end is as if it never was.
    async fn migrate<M: MigratorTrait>(&self, schema: Option<&str>) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        if let Some(schema) = schema {
            prepare(&transaction, schema).await?;
        }
        M::up(&transaction, None).await?;
        if schema.is_some() {
            transaction.execute_unprepared(ORDER_BY_BYTES).await?;
        }
        transaction.commit().await
    }
}

fn pool<D: sqlx::Database>(config: &Config) -> PoolOptions<D> {
    let acquire = Duration::from_millis(config.acquire_ms);
    // A connection over a network is asked for a sign of life before it is used: those that a restart of the database has
    // cut are replaced without a call noticing.
    let is_remote = is_postgres(config.url.expose());
    PoolOptions::new().max_connections(config.connections_max).acquire_timeout(acquire).test_before_acquire(is_remote)
}

fn postgres(url: &str, schema: &str, config: &Config) -> Result<PgConnectOptions, sqlx::Error> {
    let times = [
        ("statement_timeout", Duration::from_millis(config.statement_ms).as_millis()),
        ("lock_timeout", config.lock().as_millis()),
        ("idle_in_transaction_session_timeout", IDLE_MS),
    ];
    let options = url.parse::<PgConnectOptions>()?.application_name(&format!("malla {schema}"));
    // Whatever a role's default is: what is acknowledged is on disk.
    Ok(options
        .options([("search_path", schema), ("synchronous_commit", "on")])
        .options(times)
        .disable_statement_logging())
}

/// Makes the schema, unless it exists: who may not make schemas can be given one.
async fn prepare(transaction: &Transaction, schema: &str) -> Result<(), DbErr> {
    // Migrations may take longer than calls.
    transaction.execute_unprepared("SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '1min'").await?;
    take_turns(transaction).await?;
    let ask = "SELECT getdatabaseencoding()::text AS encoding, current_schema() IS NOT NULL AS is_there";
    let answer = transaction.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, ask)).await?;
    let answer = answer.ok_or_else(|| DbErr::RecordNotFound("the database says nothing of itself".into()))?;
    let encoding: String = answer.try_get("", "encoding")?;
    if encoding != "UTF8" {
        return Err(DbErr::Custom(format!("its encoding is {encoding}, and must be UTF8")));
    }
    if !answer.try_get::<bool>("", "is_there")? {
        transaction.execute_unprepared(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    Ok(())
}
