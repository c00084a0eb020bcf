//! The rows of the service's tables. Times are milliseconds since 1970.

/// Table `users`.
pub(crate) mod user {
    use sea_orm::entity::prelude::*;

    /// A row of `users`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub(crate) struct Model {
        /// UUID v7.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// As registered.
        pub username: String,
        /// The username, folded. Unique.
        pub username_key: String,
        /// As registered.
        pub email: String,
        /// The address, folded. Unique.
        pub email_key: String,
        /// May be empty.
        pub first_name: String,
        /// May be empty.
        pub last_name: String,
        /// PHC string.
        pub password_hash: String,
        /// When the account was made.
        pub registered_ms: i64,
        /// When the account was last changed.
        pub modified_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `signing_keys`.
pub(crate) mod signing_key {
    use sea_orm::entity::prelude::*;

    /// A row of `signing_keys`.
    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_keys")]
    pub(crate) struct Model {
        /// Thumbprint of the public key (RFC 7638).
        #[sea_orm(primary_key, auto_increment = false)]
        pub kid: String,
        /// The public key, base64url without padding.
        pub x: String,
        /// The private key, PKCS#8 v1.
        pub pkcs8: Vec<u8>,
        /// When the key was made; the newest signs.
        pub created_ms: i64,
        /// When the key is good no more; `None` until it is replaced.
        pub expires_ms: Option<i64>,
    }

    impl std::fmt::Debug for Model {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "SigningKey({})", self.kid)
        }
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `revoked_tokens`.
pub(crate) mod revoked_token {
    use sea_orm::entity::prelude::*;

    /// A row of `revoked_tokens`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "revoked_tokens")]
    pub(crate) struct Model {
        /// Grows with each revocation and is never used again.
        #[sea_orm(primary_key)]
        pub seq: i64,
        /// The token's id. Unique.
        pub jti: String,
        /// When the token expires.
        pub expires_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) use revoked_token::Model as RevokedToken;
pub(crate) use signing_key::Model as SigningKey;
pub(crate) use user::Model as User;
