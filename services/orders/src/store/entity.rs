//! The rows.

pub(crate) mod orders {
    use sea_orm::entity::prelude::*;

    /// A row of `orders`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "orders")]
    pub(crate) struct Model {
        /// UUID version 7: ids grow with time.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Id of the user whose order it is.
        pub owner: String,
        /// The owner while the order is open, NULL once it is closed; unique.
        pub open_owner: Option<String>,
        /// How often the order or its lines were changed.
        pub version: i64,
        /// Sum of the lines in minor units, once closed.
        pub total_minor: Option<i64>,
        /// When it was opened, in milliseconds since 1970.
        pub created_ms: i64,
        /// When it was last changed, in milliseconds since 1970.
        pub modified_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(has_many = "super::lines::Entity")]
        Lines,
    }

    impl Related<super::lines::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Lines.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod lines {
    use sea_orm::entity::prelude::*;

    /// A row of `lines`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "lines")]
    pub(crate) struct Model {
        /// The order it belongs to.
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: String,
        /// The beer's SKU.
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku: String,
        /// The beer's id in the catalogue.
        pub beer_id: String,
        /// Sorts the lines of an order in the order they were added.
        pub position: i64,
        /// How many.
        pub quantity: i32,
        /// Price of one in minor units, once the order is closed.
        pub unit_price_minor: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(belongs_to = "super::orders::Entity", from = "Column::OrderId", to = "super::orders::Column::Id")]
        Order,
    }

    impl Related<super::orders::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Order.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}
