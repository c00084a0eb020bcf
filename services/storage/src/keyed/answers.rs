//! Keys and answers in the database.

use std::collections::HashSet;
use std::sync::Arc;

use malla_runtime::module::{Context, Module, StartError};
use malla_runtime::policy::{Keys, Policies};
use malla_runtime::status;
use prost_reflect::DescriptorPool;
use prost_types::method_options::IdempotencyLevel;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _, TryInsertResult};
use tonic::Status;
use uuid::Uuid;

use super::{fingerprint, in_use, reused};
use crate::database::{self, Clock, Connection, Store, Writing, now_ms};
use crate::sweeper;

mod entity {
    use sea_orm::entity::prelude::*;

    /// A row of `idempotency_keys`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub(crate) struct Model {
        /// Method, key and caller.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Of the request that first came with the key.
        pub fingerprint: Vec<u8>,
        /// Whoever is carrying the call out; another when that one is given up.
        pub attempt: String,
        /// Until when nobody else may, in milliseconds since 1970.
        pub lease_ms: i64,
        /// When the key first came.
        pub created_ms: i64,
        /// The answer as gRPC sends it, once it is known.
        pub answer: Option<Vec<u8>>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::Column;

/// How long a key is known: 24 hours.
pub const KEPT_MS: i64 = 86_400_000;
/// How long a call may take before another is carried out in its place, in case its process died. One that was slow
/// changes nothing then.
pub(super) const LEASE_MS: i64 = 60_000;
/// Keys removed in one statement of a sweep, so that others get their turn.
const SWEEP_MAX: u64 = 500;

/// Why a key cannot be claimed, or an answer not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("in use")]
    InUse,
    #[error("reused")]
    Reused,
    #[error("the machine has no random numbers")]
    Random,
    #[error("store: {0}")]
    Store(#[from] DbErr),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::InUse => in_use(),
            Error::Reused => reused("this idempotency key was used for another request; use a new key"),
            error @ Error::Random => status::internal(&error),
            Error::Store(error) => database::status(&error),
        }
    }
}

/// What comes of a call with a key.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is to be carried out.
    Mine(Attempt),
    /// It was; this is what it was answered.
    Done(Vec<u8>),
}

/// The kept answers of a service.
pub struct Answers {
    store: Store,
    /// Paths of the methods whose answers are kept.
    methods: HashSet<String>,
    clock: Clock,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Answers({})", self.store.place)
    }
}

impl Answers {
    /// The kept answers of a module, swept from now on. The module's migrations have to contain
    /// [`Migration`](super::Migration).
    ///
    /// # Errors
    /// When the module's descriptors cannot be read: a fault of the build.
    pub fn of<M: Module>(store: &Store, context: &Context) -> Result<Arc<Self>, StartError> {
        let answers = Self::new(store, methods(M::DESCRIPTORS)?, Arc::new(now_ms));
        let swept = answers.clone();
        let sweep = move || {
            let answers = swept.clone();
            async move { answers.sweep().await }
        };
        tokio::spawn(sweeper::run("idempotency keys", context.shutdown.clone(), sweep));
        Ok(answers)
    }

    pub(super) fn new(store: &Store, methods: HashSet<String>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { store: store.clone(), methods, clock })
    }

    /// Whether the answers of a method are kept.
    pub(super) fn keeps(&self, path: &str) -> bool {
        self.methods.contains(path)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.store.connection
    }

    /// Claims a key for a request.
    ///
    /// Inserted first, read after: of two that come at once, the second waits for the first.
    pub(super) async fn claim(self: &Arc<Self>, id: String, request: &[u8]) -> Result<Claim, Error> {
        let now = (self.clock)();
        let fingerprint = fingerprint::new(request).map_err(|_| Error::Random)?;
        let attempt = Uuid::new_v4().to_string();
        let mut row =
            entity::Model { id, fingerprint, attempt, lease_ms: now + LEASE_MS, created_ms: now, answer: None };
        let transaction = self.store.begin().await?;
        let insert = entity::Entity::insert(row.clone().into_active_model()).on_conflict_do_nothing_on([Column::Id]);
        if !matches!(insert.exec_without_returning(&transaction).await?, TryInsertResult::Inserted(1..)) {
            let known = entity::Entity::find_by_id(&row.id).lock_exclusive().one(&transaction).await?;
            // Given back just now, if it is not there.
            let known = known.ok_or(Error::InUse)?;
            if known.created_ms > now - KEPT_MS {
                if !fingerprint::is_of(&known.fingerprint, request) {
                    return Err(Error::Reused);
                }
                if let Some(answer) = known.answer {
                    return Ok(Claim::Done(answer));
                }
                if known.lease_ms > now {
                    return Err(Error::InUse);
                }
                row.created_ms = known.created_ms;
            }
            entity::Entity::update(row.clone().into_active_model().reset_all()).exec(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(Claim::Mine(Attempt { answers: self.clone(), id: row.id, attempt: row.attempt, over: false }))
    }

    /// Gives a key back, unless its call has been answered, or is somebody else's by now.
    async fn free(&self, id: &str, attempt: &str) -> Result<(), DbErr> {
        let mine = entity::Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::Attempt.eq(attempt));
        mine.filter(Column::Answer.is_null()).exec(&self.store.connection).await?;
        Ok(())
    }

    /// Removes the keys that are too old to be known, and returns how many.
    pub(super) async fn sweep(&self) -> Result<u64, DbErr> {
        let old = Column::CreatedMs.lte((self.clock)() - KEPT_MS);
        let mut removed = 0;
        loop {
            let oldest = entity::Entity::find().select_only().column(Column::Id).filter(old.clone());
            let oldest = oldest.order_by_asc(Column::CreatedMs).limit(SWEEP_MAX).into_tuple::<String>();
            let oldest = oldest.all(&self.store.connection).await?;
            // Asked again: a key may have come anew since.
            let delete = entity::Entity::delete_many().filter(Column::Id.is_in(&oldest)).filter(old.clone());
            removed += delete.exec(&self.store.connection).await?.rows_affected;
            if (oldest.len() as u64) < SWEEP_MAX {
                return Ok(removed);
            }
        }
    }
}

/// The methods of a contract whose answers are kept: those that answer once and may change something, unless they see
/// to keys themselves.
fn methods(descriptors: &[u8]) -> Result<HashSet<String>, StartError> {
    let pool = DescriptorPool::decode(descriptors)?;
    let policies = Policies::read(descriptors)?;
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let path = |method: &prost_reflect::MethodDescriptor| {
        let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
        let reads = options.idempotency_level() == IdempotencyLevel::NoSideEffects;
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let kept = policies.get(&path).is_some_and(|policy| policy.keys != Keys::Own);
        (kept && !reads && !method.is_client_streaming() && !method.is_server_streaming()).then_some(path)
    };
    Ok(methods.filter_map(|method| path(&method)).collect())
}

/// A call that is being carried out. Dropped before its end, it gives its key back.
#[derive(Debug)]
pub(super) struct Attempt {
    answers: Arc<Answers>,
    id: String,
    attempt: String,
    over: bool,
}

impl Attempt {
    /// Commits a transaction with the answer in it, unless somebody else has taken the call over: then the
    /// transaction changes nothing.
    pub(super) async fn end(mut self, transaction: Writing, answer: &[u8]) -> Result<(), Error> {
        let kept = entity::Entity::update_many()
            .col_expr(Column::Answer, Expr::value(answer.to_vec()))
            .filter(Column::Id.eq(&self.id))
            .filter(Column::Attempt.eq(&self.attempt))
            .exec(&transaction.inner)
            .await?;
        if kept.rows_affected == 0 {
            return Err(Error::InUse);
        }
        self.answers.connection().commit(transaction).await?;
        self.over = true;
        Ok(())
    }

    /// Gives the key back. What cannot be given back now is free when the lease ends.
    pub(super) async fn give_up(mut self) {
        if let Err(error) = self.answers.free(&self.id, &self.attempt).await {
            tracing::warn!(%error, "an idempotency key stays in use for a minute");
        }
        self.over = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (answers, id, attempt) = (self.answers.clone(), self.id.clone(), self.attempt.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { answers.free(&id, &attempt).await });
        }
    }
}
