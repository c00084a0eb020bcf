//! The rows of the store.

use sea_orm::entity::prelude::*;

/// A row of `operations`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "operations")]
pub(crate) struct Model {
    /// 128 random bits, in hexadecimal: who knows it may see what nobody in particular owns.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Id of the user who made the call; empty when nobody was known to.
    pub owner: String,
    /// Full name of the RPC: `malla.comments.v1.CommentsService/CreateComment`.
    pub method: String,
    /// The encoded request; empty once the call has ended.
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
    /// The owner's name.
    pub username: String,
    /// Unique for owner and method.
    pub idempotency_key: Option<String>,
    /// Full name of the message the method answers with.
    pub response_type: String,
    /// Its client is told that it is accepted. Until then it is neither carried out nor shown.
    pub confirmed: bool,
    /// How many attempts ended without a word: a panic, or a process that died.
    pub crashes: i32,
    /// When it is given up.
    pub deadline_ms: i64,
    /// When it is due: the end of a pause, or, while running, of the lease of who runs it.
    pub next_attempt_ms: i64,
    /// When the doorbell was last rung for it.
    pub rung_ms: i64,
    /// By which the request is known again.
    pub fingerprint: Vec<u8>,
    /// What it takes of the room there is for all.
    pub stored_bytes: i64,
}

/// What there is to see of a call: all but its request.
#[derive(Clone, Debug, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub(crate) struct Seen {
    pub id: String,
    pub owner: String,
    pub method: String,
    pub state: State,
    pub response: Option<Vec<u8>>,
    pub error: Option<Vec<u8>>,
    pub attempts: i32,
    pub created_ms: i64,
    pub modified_ms: i64,
}

impl Seen {
    /// Whether it has ended, one way or another.
    pub(crate) fn is_done(&self) -> bool {
        State::ENDED.contains(&self.state)
    }
}

impl From<Model> for Seen {
    fn from(call: Model) -> Self {
        let Model { id, owner, method, state, response, error, attempts, created_ms, modified_ms, .. } = call;
        Self { id, owner, method, state, response, error, attempts, created_ms, modified_ms }
    }
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum State {
    /// Accepted, and not under way: not begun, or between two attempts.
    #[sea_orm(string_value = "queued")]
    Queued,
    /// Being carried out.
    #[sea_orm(string_value = "running")]
    Running,
    /// Ended, with a response or an error.
    #[sea_orm(string_value = "done")]
    Done,
    /// Cancelled while queued.
    #[sea_orm(string_value = "cancelled")]
    Cancelled,
}

impl State {
    /// Of calls that have not ended.
    pub(super) const UNFINISHED: [Self; 2] = [Self::Queued, Self::Running];
    /// Of calls that have.
    pub(super) const ENDED: [Self; 2] = [Self::Done, Self::Cancelled];
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
