//! What every database does alike, and what only one can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use malla_runtime::config::Secret;
use malla_runtime::module::Context;
use malla_servers::{Kind, Server, soak};
use sea_orm::Statement;
use sea_orm_migration::prelude::*;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::testing::Place;

/// One table, `things (key, number)`.
struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Things)]
    }
}

struct Things;

impl MigrationName for Things {
    fn name(&self) -> &'static str {
        "m001_things"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Things {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("things")
            .col(ColumnDef::new("key").text().not_null().primary_key())
            .col(ColumnDef::new("number").big_integer().not_null())
            .to_owned();
        manager.create_table(table).await
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, DbErr>) -> Code {
    status(&outcome.expect_err("refused")).code()
}

async fn insert(on: &impl ConnectionTrait, key: &str) -> Result<(), DbErr> {
    let row = [key.into(), 0.into()];
    let insert = Query::insert().into_table("things").columns(["key", "number"]).values_panic(row).to_owned();
    on.execute(&insert).await.map(|_| ())
}

async fn increment(on: &impl ConnectionTrait, key: &str) -> Result<(), DbErr> {
    let number = Expr::col("number").add(1);
    let update = Query::update().table("things").value("number", number).and_where(Expr::col("key").eq(key)).to_owned();
    on.execute(&update).await.map(|_| ())
}

async fn numbers(on: &impl ConnectionTrait) -> Vec<(String, i64)> {
    let select = Query::select().columns(["key", "number"]).from("things").order_by("key", Order::Asc).to_owned();
    let rows = on.query_all(&select).await.expect("rows");
    rows.iter()
        .map(|row| (row.try_get("", "key").expect("text"), row.try_get("", "number").expect("a number")))
        .collect()
}

crate::on_every_database![
    processes_that_start_at_once_take_turns,
    text_is_ordered_by_its_bytes,
    a_statement_that_waits_for_a_lock_too_long_can_be_tried_again,
    of_transactions_that_take_turns_one_runs_at_a_time,
];

async fn processes_that_start_at_once_take_turns(place: Place) {
    let place = Arc::new(place);
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move { place.open::<Migrator>("things").await })
        })
        .collect();
    for start in starts {
        let store = start.await.expect("opened");
        assert!(!store.place.contains("malla:") && store.place.contains("things"), "{}", store.place);
        assert!(store.probe()().await);
    }
}

async fn text_is_ordered_by_its_bytes(place: Place) {
    let store = place.open::<Migrator>("things").await;
    let keys = ["", "A-b", "AB", "Z", "a", "a b", "a-b", "a_b", "ab", "é", "日", "🍺"];
    for key in keys.iter().rev() {
        insert(&store.connection, key).await.expect("stored");
    }
    let listed: Vec<_> = numbers(&store.connection).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(listed, keys);
}

async fn a_statement_that_waits_for_a_lock_too_long_can_be_tried_again(mut place: Place) {
    place.config.lock_ms = Some(50);
    let store = place.open::<Migrator>("things").await;
    insert(&store.connection, "a").await.expect("stored");
    let holder = store.begin().await.expect("begun");
    increment(&holder, "a").await.expect("changed");
    let refused = status(&increment(&store.connection, "a").await.expect_err("locked"));
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.get_details_retry_info().is_some());
    holder.commit().await.expect("stored");
    increment(&store.connection, "a").await.expect("changed");
    assert_eq!(numbers(&store.connection).await, [("a".to_owned(), 2)]);
}

async fn of_transactions_that_take_turns_one_runs_at_a_time(place: Place) {
    let store = place.open::<Migrator>("things").await;
    let makers: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let transaction = store.begin().await.expect("begun");
                take_turns(&transaction).await.expect("its turn");
                if numbers(&transaction).await.is_empty() {
                    insert(&transaction, &number.to_string()).await.expect("the first");
                }
                transaction.commit().await.expect("stored");
            })
        })
        .collect();
    for maker in makers {
        maker.await.expect("no panic");
    }
    assert_eq!(numbers(&store.connection).await.len(), 1);
}

#[tokio::test]
async fn who_waits_to_write_keeps_nobody_from_reading_and_has_its_turn() {
    let mut place = Place::sqlite();
    place.config.connections_max = 2;
    let store = place.open::<Migrator>("things").await;
    insert(&store.connection, "a").await.expect("stored");
    let holder = store.begin().await.expect("begun");
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { increment(&store.connection, "a").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(numbers(&store.connection).await, [("a".to_owned(), 0)]);
    holder.commit().await.expect("stored");
    for writer in writers {
        writer.await.expect("no panic").expect("changed");
    }
    assert_eq!(numbers(&store.connection).await, [("a".to_owned(), 8)]);
}

#[test]
fn a_url_or_a_schema_that_cannot_be_used_is_refused_without_its_password() {
    let rows = [
        ("mysql://u:geheim@h/d", "", Some("url")),
        ("postgres://u:geheim@h:port/d", "", Some("url")),
        ("postgres://u:geheim@h/d?sslmode=perhaps", "", Some("url")),
        ("sqlite://a?mode=geheim", "", Some("url")),
        ("postgres://u:geheim@h/d", "Orders", Some("schema")),
        ("postgres://u:geheim@h/d", "1a", Some("schema")),
        ("postgres://u:geheim@h/d", "pg_a", Some("schema")),
        ("postgres://u:geheim@h/d", "a\";DROP", Some("schema")),
        ("postgresql://u:geheim@h/d?sslmode=require", "a_1", None),
        ("sqlite://a?mode=rwc", "", None),
        ("", "", None),
    ];
    for (url, schema, refused) in rows {
        let config = Config { url: Secret::new(url), schema: schema.into(), ..Config::default() };
        let error = config.check("orders").err().map(|error| error.to_string());
        assert_eq!(error.is_some(), refused.is_some(), "{url} {schema}: {error:?}");
        if let Some(error) = error {
            let key = format!("orders.database.{}:", refused.expect("a key"));
            assert!(error.starts_with(&key) && !error.contains("u:geheim"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_data_dir_may_have_any_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let odd = dir.path().join("100%?a=b#c");
    std::fs::create_dir(&odd).expect("a folder");
    let store =
        Store::open::<Migrator>("things", &Config::default(), &Context::alone(odd.clone())).await.expect("opened");
    insert(&store.connection, "a").await.expect("stored");
    assert!(odd.join("things.db").is_file());
}

#[tokio::test]
async fn services_share_a_database_each_in_its_schema_whatever_its_order() {
    let Some(mut place) = Place::postgres() else { return };
    let admin = place.open::<Migrator>("admin").await;
    let sql = r#"CREATE DATABASE other LOCALE 'C.UTF-8' TEMPLATE template0"#;
    admin.connection.execute_unprepared(sql).await.expect("a database");
    let sql = "SELECT count(*) AS n FROM information_schema.columns WHERE collation_name = 'C' AND column_name = 'key'";
    let url = place.config.url.expose().to_owned();
    place.config.url = Secret::new(url.rsplit_once('/').expect("a name").0.to_owned() + "/other");
    for service in ["one", "two", "two"] {
        let store = place.open::<Migrator>(service).await;
        assert!(
            store.place.starts_with("postgres 127.0.0.1:")
                && store.place.ends_with(&format!("/other schema {service}"))
        );
        if numbers(&store.connection).await.is_empty() {
            insert(&store.connection, service).await.expect("stored");
        }
        assert_eq!(numbers(&store.connection).await, [(service.to_owned(), 0)]);
        let row = store.connection.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, sql)).await;
        let columns: i64 = row.expect("an answer").expect("a row").try_get("", "n").expect("a number");
        assert_eq!(columns, if service == "one" { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let Some(mut place) = Place::postgres() else { return };
    let admin = place.open::<Migrator>("admin").await;
    let sql = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    admin.connection.execute_unprepared(sql).await.expect("a database");
    let url = place.config.url.expose().to_owned();
    place.config.url = Secret::new(url.rsplit_once('/').expect("a name").0.to_owned() + "/latin");
    let context = Context::alone(place.dir.path().to_owned());
    let error = Store::open::<Migrator>("things", &place.config, &context).await.expect_err("refused").to_string();
    assert!(error.contains("LATIN1") && error.contains("must be UTF8"), "{error}");
}

#[tokio::test]
async fn what_postgres_refuses_is_told_apart() {
    let Some(mut place) = Place::postgres() else { return };
    place.config.statement_ms = 100;
    let store = place.open::<Migrator>("things").await;
    assert_eq!(code(insert(&store.connection, "a\0b").await), Code::InvalidArgument);
    assert_eq!(code(store.connection.execute_unprepared("SELECT pg_sleep(10)").await), Code::Unavailable);
    assert_eq!(code(store.connection.execute_unprepared("SELECT nonsense").await), Code::Internal);
    let states = [
        ("53100", Code::ResourceExhausted),
        ("40P01", Code::Unavailable),
        ("08006", Code::Unavailable),
        ("23514", Code::Internal),
    ];
    for (state, expected) in states {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$");
        assert_eq!(code(store.connection.execute_unprepared(&raise).await), expected, "{state}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_from_a_broken_store() {
    let place = Place::sqlite();
    let store = place.open::<Migrator>("things").await;
    let transaction = store.begin().await.expect("begun");
    transaction.execute_unprepared("PRAGMA max_page_count = 1").await.expect("a limit");
    let refused = loop {
        if let Err(error) = insert(&transaction, &"x".repeat(100_000)).await {
            break error;
        }
    };
    assert_eq!(status(&refused).code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    let url = Secret::new("postgres://malla:geheim@127.0.0.1:1/mesh");
    let config = Config { url, acquire_ms: 100, ..Config::default() };
    let context = Context::alone(std::env::temp_dir());
    let error = Store::open::<Migrator>("orders", &config, &context).await.expect_err("nobody is there").to_string();
    assert_eq!(error, "postgres 127.0.0.1:1/mesh schema orders cannot be opened: no answer for 100 ms");
}

/// What was acknowledged is there once; what failed may be there, since the answer to a commit can be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_21_killed_again_and_again_postgres_loses_nothing_and_is_back_soon() {
    const WRITERS: usize = 32;
    const BACK: Duration = Duration::from_secs(2);
    let Some(mut server) = Server::start(Kind::Postgres, &[]) else { return };
    let config = Config { url: Secret::new(server.url()), ..Config::default() };
    let place = Place { config, ..Place::sqlite() };
    let (store, watcher) = (place.open::<Migrator>("things").await, place.open::<Migrator>("things").await);
    insert(&store.connection, "a").await.expect("stored");
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write_until(stop.clone(), store.clone()))).collect();
    let (mut rounds, mut slowest) = (soak::rounds(5), Duration::ZERO);
    let written = async |when: String| {
        let (before, start) = (number(&watcher).await, Instant::now());
        while number(&watcher).await == before {
            assert!(start.elapsed() < BACK, "no write succeeds {when}");
        }
        start.elapsed()
    };
    for round in rounds.by_ref() {
        written(format!("before round {round}")).await;
        server.kill();
        let restart = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        });
        server = restart.await.expect("restarted");
        slowest = slowest.max(written(format!("after round {round}")).await);
    }
    stop.store(true, Ordering::SeqCst);
    let (mut acknowledged, mut refused) = (0, 0);
    for writer in writers {
        let (written, failed) = writer.await.expect("no panic");
        assert!(failed.iter().all(|code| *code == Code::Unavailable), "{failed:?}");
        (acknowledged, refused) = (acknowledged + written, refused + failed.len() as i64);
    }
    let stored = number(&watcher).await;
    let measured =
        format_args!("{acknowledged} acked, {stored} stored; back in {slowest:.1?} at most; {}", rounds.bound());
    soak::report(21, "PostgreSQL killed under 32 writers", measured);
    assert!((acknowledged..=acknowledged + refused).contains(&stored), "{stored} of {acknowledged} and {refused}");
}

/// Adds to one row, again and again; how often, and how it failed.
async fn write_until(stop: Arc<AtomicBool>, store: Store) -> (i64, Vec<Code>) {
    let (mut acknowledged, mut refused) = (0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let write = async {
            let transaction = store.begin().await?;
            increment(&transaction, "a").await?;
            transaction.commit().await
        };
        match write.await {
            Ok(()) => acknowledged += 1,
            Err(error) => refused.push(status(&error).code()),
        }
    }
    (acknowledged, refused)
}

async fn number(store: &Store) -> i64 {
    numbers(&store.connection).await[0].1
}
