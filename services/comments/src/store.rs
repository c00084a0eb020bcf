//! Comments in the database, numbered in the order in which they become visible.

use malla_storage::database::{Store, now_ms};
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait as _, QueryOrder as _, QuerySelect as _};

use crate::error::Error;
use crate::rules::Draft;

mod entity {
    use sea_orm::entity::prelude::*;

    /// A row of `comments`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "comments")]
    pub(crate) struct Model {
        /// Grows with each comment, whichever process stores it; the id as clients see it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i64,
        /// What the comment is about.
        pub content_id: String,
        /// Who wrote it.
        pub email: String,
        /// What it says.
        pub comment: String,
        /// When it was stored, in milliseconds since 1970.
        pub created_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod last {
    use sea_orm::entity::prelude::*;

    /// The only row of `last_position`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "last_position")]
    pub(crate) struct Model {
        /// 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        /// Position of the newest comment.
        pub position: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) use entity::Model as Comment;

/// All comments; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Comments {
    store: Store,
}

impl Comments {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a comment. It is on disk when this returns.
    ///
    /// Its position comes from a row that stays locked until the commit. A sequence of the database would do in
    /// SQLite, but PostgreSQL hands out numbers before it commits: a reader could see 6, go on from there and never
    /// see 5.
    pub(crate) async fn create(&self, draft: Draft) -> Result<Comment, Error> {
        let Draft { email, comment, content_id } = draft;
        let transaction = self.store.begin().await?;
        let counted = last::Entity::update_many()
            .col_expr(last::Column::Position, Expr::col(last::Column::Position).add(1))
            .exec_with_returning(&transaction)
            .await?;
        let position = counted.first().ok_or_else(no_last_position)?.position;
        let comment = Comment { position, content_id, email, comment, created_ms: now_ms() };
        let row = entity::ActiveModel::from(comment.clone()).reset_all();
        entity::Entity::insert(row).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(comment)
    }

    /// Up to `limit` comments on a content after a position, oldest first.
    pub(crate) async fn list(&self, content_id: &str, after: i64, limit: u32) -> Result<Vec<Comment>, Error> {
        let query = newer(after, limit).filter(entity::Column::ContentId.eq(content_id));
        Ok(query.all(&self.store.connection).await?)
    }

    /// Up to `limit` comments on any content after a position, oldest first.
    pub(crate) async fn after(&self, position: i64, limit: u32) -> Result<Vec<Comment>, Error> {
        Ok(newer(position, limit).all(&self.store.connection).await?)
    }

    /// The position of the newest comment; 0 when there is none.
    pub(crate) async fn last_position(&self) -> Result<i64, Error> {
        let row = last::Entity::find().one(&self.store.connection).await?;
        Ok(row.ok_or_else(no_last_position)?.position)
    }
}

fn newer(position: i64, limit: u32) -> Select<entity::Entity> {
    let query = entity::Entity::find().filter(entity::Column::Position.gt(position));
    query.order_by_asc(entity::Column::Position).limit(u64::from(limit))
}

/// The migration makes the row and nothing removes it.
fn no_last_position() -> DbErr {
    DbErr::RecordNotFound("last_position has no row".into())
}

#[cfg(test)]
pub(crate) mod tests;
