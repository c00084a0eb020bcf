//! Deferred calls in the database. Each has an owner, and nobody else's calls exist for a caller: the owner is part
//! of every query.

use malla_contracts::google::rpc;
use malla_runtime::database::{Clock, Store};
use malla_runtime::status::shown;
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _};
use tonic::Code;

use crate::error::Error;

mod entity {
    use sea_orm::entity::prelude::*;

    /// A row of `operations`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operations")]
    pub(crate) struct Model {
        /// UUID v7: ids sort by the time the call was accepted.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Id of the user who made the call.
        pub owner: String,
        /// Full name of the RPC: `malla.comments.v1.CommentsService/CreateComment`.
        pub method: String,
        /// The encoded request.
        pub request: Vec<u8>,
        pub state: State,
        /// An encoded `google.protobuf.Any`, once done well.
        pub response: Option<Vec<u8>>,
        /// An encoded `google.rpc.Status`, once failed or cancelled.
        pub error: Option<Vec<u8>>,
        /// How often it was tried.
        pub attempts: i32,
        pub created_ms: i64,
        /// When the state last changed.
        pub modified_ms: i64,
        /// Set when done.
        pub expires_ms: Option<i64>,
    }

    /// How far a call is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    pub(crate) enum State {
        /// Accepted, not yet begun.
        #[sea_orm(string_value = "queued")]
        Queued,
        /// Being carried out.
        #[sea_orm(string_value = "running")]
        Running,
        /// Ended, with a response or an error.
        #[sea_orm(string_value = "done")]
        Done,
        /// Cancelled before it began.
        #[sea_orm(string_value = "cancelled")]
        Cancelled,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::Column;
pub(crate) use entity::{Model as Call, State};

impl Call {
    /// Whether it has ended, one way or another.
    pub(crate) fn is_done(&self) -> bool {
        DONE.contains(&self.state)
    }

    /// The size of what it ended with.
    pub(crate) fn result_bytes(&self) -> usize {
        [&self.response, &self.error].into_iter().flatten().map(Vec::len).sum()
    }
}

/// The states of calls that have ended.
const DONE: [State; 2] = [State::Done, State::Cancelled];

/// All deferred calls.
pub(crate) struct Calls {
    store: Store,
    retention_ms: i64,
    clock: Clock,
}

impl Calls {
    pub(crate) fn new(store: Store, retention_ms: i64, clock: Clock) -> Self {
        Self { store, retention_ms, clock }
    }

    /// One call.
    pub(crate) async fn get(&self, owner: &str, id: &str) -> Result<Call, Error> {
        let known = entity::Entity::find().filter(self.known(owner)).filter(Column::Id.eq(id));
        known.one(&self.store.connection).await?.ok_or_else(|| Error::Unknown(shown(id)))
    }

    /// Up to `limit` calls accepted before the one with this id, newest first.
    pub(crate) async fn list(&self, owner: &str, before: Option<&str>, limit: u32) -> Result<Vec<Call>, Error> {
        let mut known = entity::Entity::find().filter(self.known(owner));
        if let Some(id) = before {
            known = known.filter(Column::Id.lt(id));
        }
        Ok(known.order_by_desc(Column::Id).limit(u64::from(limit)).all(&self.store.connection).await?)
    }

    /// Ends a call that has not begun. One that has is left alone: its service may be at work already.
    pub(crate) async fn cancel(&self, owner: &str, id: &str) -> Result<(), Error> {
        let now = (self.clock)();
        let message = "the operation was cancelled before it began".to_owned();
        let error = rpc::Status { code: Code::Cancelled.into(), message, details: Vec::new() };
        let cancelled = entity::Entity::update_many()
            .col_expr(Column::State, Expr::value(State::Cancelled))
            .col_expr(Column::Error, Expr::value(error.encode_to_vec()))
            .col_expr(Column::ModifiedMs, Expr::value(now))
            .col_expr(Column::ExpiresMs, Expr::value(now + self.retention_ms))
            .filter(self.known(owner))
            .filter(Column::Id.eq(id))
            .filter(Column::State.eq(State::Queued))
            .exec(&self.store.connection)
            .await?;
        if cancelled.rows_affected == 0 { self.get(owner, id).await.map(|_| ()) } else { Ok(()) }
    }

    /// Removes a call that has ended.
    pub(crate) async fn delete(&self, owner: &str, id: &str) -> Result<(), Error> {
        let deleted = entity::Entity::delete_many()
            .filter(self.known(owner))
            .filter(Column::Id.eq(id))
            .filter(Column::State.is_in(DONE))
            .exec(&self.store.connection)
            .await?;
        if deleted.rows_affected > 0 {
            return Ok(());
        }
        self.get(owner, id).await.and_then(|call| Err(Error::NotDone(call.id)))
    }

    /// Removes the calls whose retention is over, and returns how many.
    pub(crate) async fn sweep(&self) -> Result<u64, Error> {
        let expired = Column::ExpiresMs.lte((self.clock)());
        Ok(entity::Entity::delete_many().filter(expired).exec(&self.store.connection).await?.rows_affected)
    }

    /// What exists for a caller.
    fn known(&self, owner: &str) -> Condition {
        let kept = Condition::any().add(Column::ExpiresMs.is_null()).add(Column::ExpiresMs.gt((self.clock)()));
        Condition::all().add(Column::Owner.eq(owner)).add(kept)
    }
}

#[cfg(test)]
pub(crate) mod tests;
