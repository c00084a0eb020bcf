//! The rows.

pub(crate) mod products {
    use sea_orm::entity::prelude::*;

    /// A row of `products`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "products")]
    pub(crate) struct Model {
        /// The key.
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku: String,
        /// What it is.
        pub description: String,
        /// The base price in minor units.
        pub price_minor: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod rules {
    use sea_orm::entity::prelude::*;

    /// A row of `rules`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rules")]
    pub(crate) struct Model {
        /// UUID version 7.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// The product's SKU.
        pub sku: String,
        /// ISO 3166-1 alpha-2 code, lower case.
        pub country: String,
        /// The city's name as given.
        pub city: String,
        /// The city's name in lower case.
        pub city_key: String,
        /// The factor on the base price, in thousandths.
        pub variation_milli: i32,
        /// The smallest condition id it holds for.
        pub min_condition: i32,
        /// The largest condition id it holds for.
        pub max_condition: i32,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
