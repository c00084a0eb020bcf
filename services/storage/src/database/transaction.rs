//! Transactions, and calls that are one transaction from end to end.
//!
//! Within a [`Scope`] what a handler commits is not committed: it is kept, and whoever opened the scope commits it
//! together with something of its own, or drops it. The handler sees no difference.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbErr,
    ExecResult, IntoDatabaseExecutor, QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait as _,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use super::status::is_unsynced;

tokio::task_local! {
    static CURRENT: Arc<Scope>;
}

/// Does something to its end, as part of the call being handled, even if the caller leaves meanwhile.
pub(crate) async fn whole<R: Send + 'static>(work: impl Future<Output = R> + Send + 'static) -> R {
    let work = work.in_current_span();
    let task = match CURRENT.try_with(Arc::clone) {
        Ok(scope) => tokio::spawn(CURRENT.scope(scope, work)),
        Err(_) => tokio::spawn(work),
    };
    task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// One handling of a call, as one transaction of one database.
#[derive(Debug)]
pub(crate) struct Scope {
    connection: Connection,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Arc<Writing>>,
    afterwards: Vec<BoxFuture<'static, ()>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "State({:?})", self.kept)
    }
}

impl Scope {
    pub(crate) fn new(connection: &Connection) -> Arc<Self> {
        Arc::new(Self { connection: connection.clone(), state: Mutex::default() })
    }

    /// Runs a handler in this scope.
    pub(crate) async fn run<F: Future>(self: &Arc<Self>, handling: F) -> F::Output {
        CURRENT.scope(self.clone(), handling).await
    }

    /// Ends the scope: what was kept, or a new transaction, and what is to be done once it is committed.
    pub(crate) async fn end(&self) -> Result<(Writing, Vec<BoxFuture<'static, ()>>), DbErr> {
        let State { kept, afterwards } = std::mem::take(&mut *self.state());
        let transaction = match kept {
            Some(kept) => {
                Arc::try_unwrap(kept).map_err(|_| DbErr::Custom("a call ended before its statements did".into()))?
            }
            None => self.connection.open().await?,
        };
        Ok((transaction, afterwards))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> Option<Arc<Writing>> {
        self.state().kept.clone()
    }
}

/// A transaction at the database, and the turn of whoever writes. Dropped without a commit, it has changed nothing.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) inner: DatabaseTransaction,
    /// Let go of after the transaction.
    turn: Option<OwnedSemaphorePermit>,
}

/// The way to a database; cheap to clone. In a scope, reads see what the call has written, and every write belongs to
/// the call's transaction.
///
/// Once its disk has failed to sync, nothing more is read or written: a second fsync may succeed without the pages that
/// the first has lost, and what is read may be in memory only. What is on disk, a new start finds out.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    database: DatabaseConnection,
    /// SQLite has one writer at a time. Those that wait do so here, in order and without a connection: in the pool they
    /// would keep readers from theirs, and at SQLite the latest is as likely to be the next as the first.
    turns: Option<Arc<Semaphore>>,
    /// How long one waits for its turn.
    lock: Duration,
    unsynced: AtomicBool,
}

impl Connection {
    pub(crate) fn new(database: DatabaseConnection, lock: Duration) -> Self {
        let is_sqlite = database.get_database_backend() == DatabaseBackend::Sqlite;
        let turns = is_sqlite.then(|| Arc::new(Semaphore::new(1)));
        Self(Arc::new(Pool { database, turns, lock, unsynced: AtomicBool::new(false) }))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`DbErr`] when it does not.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.pool()?.ping().await
    }

    /// Closes all connections.
    ///
    /// # Errors
    /// [`DbErr`] when they cannot be closed.
    pub async fn close_by_ref(&self) -> Result<(), DbErr> {
        self.0.database.close_by_ref().await
    }

    /// Commits, to its end: how that went has to be noted even when the caller has left.
    pub(crate) async fn commit(&self, Writing { inner, turn }: Writing) -> Result<(), DbErr> {
        let connection = self.clone();
        whole(async move {
            let outcome = connection.noted(inner.commit().await);
            drop(turn);
            outcome
        })
        .await
    }

    /// Passes on how a write ended, and remembers a disk that did not sync.
    fn noted<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        if outcome.as_ref().is_err_and(is_unsynced) && !self.0.unsynced.swap(true, Ordering::Relaxed) {
            tracing::error!("the disk does not sync: nothing more is read or written before the next start");
        }
        outcome
    }

    fn pool(&self) -> Result<&DatabaseConnection, DbErr> {
        if self.0.unsynced.load(Ordering::Relaxed) {
            return Err(DbErr::Conn(RuntimeErr::Internal("its disk failed to sync; start the service anew".into())));
        }
        Ok(&self.0.database)
    }

    /// As [`Store::begin`](super::Store::begin).
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        let scope = self.scope();
        let (writing, keeper) = match scope.as_ref().and_then(|scope| scope.kept()) {
            // A savepoint: dropped without a commit, it takes back its own part only.
            Some(kept) => (Writing { inner: kept.inner.begin().await?, turn: None }, None),
            None => (self.open().await?, scope),
        };
        Ok(Transaction { writing, keeper, connection: self.clone() })
    }

    /// Does something now, or, in a scope, once it is committed: what others must not see too early.
    pub(crate) async fn afterwards(&self, work: BoxFuture<'static, ()>) {
        match self.scope() {
            Some(scope) => scope.state().afterwards.push(work),
            None => work.await,
        }
    }

    async fn open(&self) -> Result<Writing, DbErr> {
        let turn = match self.0.turns.clone() {
            Some(turns) => {
                let turn = tokio::time::timeout(self.0.lock, turns.acquire_owned()).await;
                Some(turn.ok().and_then(Result::ok).ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?)
            }
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Writing { inner: self.pool()?.begin_with_options(options).await?, turn })
    }

    /// The scope of the call being handled, if it is one of this database: a call to another service in this process
    /// is handled within the scope of its caller.
    fn scope(&self) -> Option<Arc<Scope>> {
        let scope = CURRENT.try_with(Arc::clone).ok()?;
        Arc::ptr_eq(&scope.connection.0, &self.0).then_some(scope)
    }

    /// The way of one statement. What is not known to be a read is a write; one to SQLite is a transaction of its own, so
    /// that its end is noted as that of any other.
    async fn way(&self, sql: &str) -> Result<Way<'_>, DbErr> {
        let scope = self.scope();
        let is_own = scope.is_some() || self.get_database_backend() == DatabaseBackend::Sqlite;
        if is_own && !sql.starts_with("SELECT") {
            return Ok(Way::Own(self.begin().await?));
        }
        Ok(match scope.and_then(|scope| scope.kept()) {
            Some(kept) => Way::Kept(kept),
            None => Way::Pool(self.pool()?),
        })
    }
}

enum Way<'c> {
    Pool(&'c DatabaseConnection),
    Kept(Arc<Writing>),
    Own(Transaction),
}

impl Way<'_> {
    fn executor(&self) -> DatabaseExecutor<'_> {
        match self {
            Self::Pool(pool) => DatabaseExecutor::Connection(pool),
            Self::Kept(kept) => DatabaseExecutor::Transaction(&kept.inner),
            Self::Own(transaction) => DatabaseExecutor::Transaction(&transaction.writing.inner),
        }
    }

    /// Commits a statement that was a transaction of its own.
    async fn done<T>(self, outcome: T) -> Result<T, DbErr> {
        if let Self::Own(transaction) = self {
            transaction.commit().await?;
        }
        Ok(outcome)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.0.database.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let way = self.way(&statement.sql).await?;
        let outcome = self.noted(way.executor().execute_raw(statement).await)?;
        way.done(outcome).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let way = self.way(sql).await?;
        let outcome = self.noted(way.executor().execute_unprepared(sql).await)?;
        way.done(outcome).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let way = self.way(&statement.sql).await?;
        let outcome = self.noted(way.executor().query_one_raw(statement).await)?;
        way.done(outcome).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let way = self.way(&statement.sql).await?;
        let outcome = self.noted(way.executor().query_all_raw(statement).await)?;
        way.done(outcome).await
    }
}

/// A transaction that means to write. Dropped without a commit, it has changed nothing.
#[derive(Debug)]
pub struct Transaction {
    writing: Writing,
    /// Keeps it instead of a commit.
    keeper: Option<Arc<Scope>>,
    connection: Connection,
}

impl Transaction {
    /// Makes its changes last; in a keyed call, as soon as the call has been answered well. Once begun it goes to its end,
    /// also when it is dropped.
    ///
    /// # Errors
    /// [`DbErr`] when they could not be made to last, or nobody can tell.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Some(scope) = self.keeper else { return self.connection.commit(self.writing).await };
        let mut state = scope.state();
        if state.kept.is_some() {
            return Err(DbErr::Custom("two transactions of one call at once".into()));
        }
        state.kept = Some(Arc::new(self.writing));
        Ok(())
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.writing.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.writing.inner.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.writing.inner.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.writing.inner.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.writing.inner.query_all_raw(statement).await
    }
}

/// For migrations.
impl<'c> IntoDatabaseExecutor<'c> for &'c Transaction {
    fn into_database_executor(self) -> DatabaseExecutor<'c> {
        DatabaseExecutor::Transaction(&self.writing.inner)
    }
}
