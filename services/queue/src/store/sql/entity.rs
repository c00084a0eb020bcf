//! The rows of the store.

/// A message and where it is in its life, which no column says: `receipt`, `visible_ms` and `is_final` do, together
/// with the time. `arrived` only says for which the time is known to have come: noted by whoever looks next, so that nothing
/// has to be moved when a delay, a lease or a last lease ends, and the oldest are found without those still to come.
///
/// | | `visible_ms` to come | `visible_ms` past |
/// | --- | --- | --- |
/// | without receipt | delayed | ready, or dead if final |
/// | with receipt | leased | ready, or dead if final |
pub(crate) mod messages {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "messages")]
    pub(crate) struct Model {
        /// Place in the order of pushing.
        #[sea_orm(primary_key)]
        pub seq: i64,
        pub id: String,
        pub queue: String,
        pub pushed_ms: i64,
        /// Delivered only from then on. Ends a delay or a lease, begins readiness or death.
        pub visible_ms: i64,
        /// Names the latest delivery, unless it was given back.
        pub receipt: Option<String>,
        /// Deliveries since it was pushed or redriven.
        pub attempts: i32,
        /// The latest delivery was the last one allowed.
        pub is_final: bool,
        /// A `google.protobuf.Value`.
        pub body: Vec<u8>,
        /// A look has found `visible_ms` past.
        pub arrived: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How many messages a queue holds, whatever their state.
pub(crate) mod queues {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "queues")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub stored: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Idempotency keys and what was pushed with them.
pub(crate) mod keys {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "keys")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub queue: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub fingerprint: Vec<u8>,
        /// The message's id.
        pub id: String,
        pub pushed_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How many idempotency keys a queue remembers; no row for none.
pub(crate) mod key_counts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "key_counts")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub queue: String,
        pub keys: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Tombstones of acknowledged messages.
pub(crate) mod acks {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "acks")]
    pub(crate) struct Model {
        /// The message's id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub receipt: String,
        pub acked_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
