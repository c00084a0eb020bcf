//! Accounts, keys and revocations in the database. Nothing is cached: processes that share it see the same.

mod entity;

use malla_storage::database::{Store, now_ms, take_turns};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel as _, NotSet, QueryOrder as _, Set, SqlErr};
use uuid::Uuid;

use crate::error::Error;
use crate::rules::{Profile, folded};

use entity::{revoked_token, signing_key, user};

pub(crate) use entity::{RevokedToken, SigningKey, User};

/// The service's database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Database(Store);

impl Database {
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Stores a new account, unless its username or its address is taken.
    pub(crate) async fn add_user(&self, profile: Profile, password_hash: String) -> Result<User, Error> {
        let now = now_ms();
        let user = User {
            id: Uuid::now_v7().to_string(),
            username_key: folded(&profile.username),
            username: profile.username,
            email_key: folded(&profile.email),
            email: profile.email,
            first_name: profile.first_name,
            last_name: profile.last_name,
            password_hash,
            registered_ms: now,
            modified_ms: now,
        };
        let inserted = user::Entity::insert(user.clone().into_active_model()).exec(&self.0.connection).await;
        match inserted {
            Ok(_) => Ok(user),
            // The database decides who was first; which of the two was taken it says in its own words only.
            Err(error) if is_duplicate(&error) => match self.user_by_name(&user.username).await? {
                Some(_) => Err(Error::UsernameTaken(user.username)),
                None => Err(Error::EmailTaken(user.email)),
            },
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn user(&self, id: &str) -> Result<Option<User>, Error> {
        Ok(user::Entity::find_by_id(id).one(&self.0.connection).await?)
    }

    pub(crate) async fn user_by_name(&self, username: &str) -> Result<Option<User>, Error> {
        let query = user::Entity::find().filter(user::Column::UsernameKey.eq(folded(username)));
        Ok(query.one(&self.0.connection).await?)
    }

    /// Stores another hash of the same password; does nothing if the password has changed since `user` was read.
    pub(crate) async fn replace_hash(&self, user: &User, password_hash: String) -> Result<(), Error> {
        user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(password_hash))
            .filter(user::Column::Id.eq(&user.id))
            .filter(user::Column::PasswordHash.eq(&user.password_hash))
            .exec(&self.0.connection)
            .await?;
        Ok(())
    }

    /// All keys that have not expired, the one that signs first.
    pub(crate) async fn keys(&self) -> Result<Vec<SigningKey>, Error> {
        Ok(unexpired_keys().all(&self.0.connection).await?)
    }

    /// Stores a key if there is none yet.
    pub(crate) async fn add_first_key(&self, key: SigningKey) -> Result<(), Error> {
        let transaction = self.0.begin().await?;
        take_turns(&transaction).await?;
        if unexpired_keys().one(&transaction).await?.is_none() {
            signing_key::Entity::insert(key.into_active_model()).exec(&transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Revokes a token, and forgets those that expired before `forget_before`. False if it was revoked before.
    pub(crate) async fn revoke(&self, jti: &str, expires_ms: i64, forget_before: i64) -> Result<bool, Error> {
        let row = revoked_token::ActiveModel { seq: NotSet, jti: Set(jti.to_owned()), expires_ms: Set(expires_ms) };
        let transaction = self.0.begin().await?;
        // Else a watcher could see number 6, go on from there and never see 5.
        take_turns(&transaction).await?;
        revoked_token::Entity::delete_many()
            .filter(revoked_token::Column::ExpiresMs.lt(forget_before))
            .exec(&transaction)
            .await?;
        match revoked_token::Entity::insert(row).exec(&transaction).await {
            Ok(_) => transaction.commit().await?,
            Err(error) if is_duplicate(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Does something once others can see what this call has written.
    pub(crate) async fn afterwards(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.afterwards(work).await;
    }

    pub(crate) async fn is_revoked(&self, jti: &str) -> Result<bool, Error> {
        let query = revoked_token::Entity::find().filter(revoked_token::Column::Jti.eq(jti));
        Ok(query.one(&self.0.connection).await?.is_some())
    }

    /// Revocations made after the one with number `seq`, in order, of tokens that expire after `expiring_after`.
    /// Writers take turns (see [`revoke`](Self::revoke)), so a lower number never appears after a higher one.
    pub(crate) async fn revoked_since(&self, seq: i64, expiring_after: i64) -> Result<Vec<RevokedToken>, Error> {
        let query = revoked_token::Entity::find()
            .filter(revoked_token::Column::Seq.gt(seq))
            .filter(revoked_token::Column::ExpiresMs.gt(expiring_after))
            .order_by_asc(revoked_token::Column::Seq);
        Ok(query.all(&self.0.connection).await?)
    }
}

fn unexpired_keys() -> Select<signing_key::Entity> {
    use signing_key::Column::{CreatedMs, ExpiresMs, Kid};
    let unexpired = Condition::any().add(ExpiresMs.is_null()).add(ExpiresMs.gt(now_ms()));
    signing_key::Entity::find().filter(unexpired).order_by_desc(CreatedMs).order_by_asc(Kid)
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

#[cfg(test)]
pub(crate) mod tests;
