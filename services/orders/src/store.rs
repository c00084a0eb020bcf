//! Orders and their lines in the database.
//!
//! Every change of an order or its lines raises the order's version in the same transaction; the row of the order is
//! the lock its lines are changed under.

mod entity;

use std::collections::HashMap;

use malla_runtime::status::shown;
use malla_storage::database::{Store, now_ms};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, ExprTrait as _, IntoActiveModel as _, QueryOrder as _, QuerySelect as _, Set};
use uuid::Uuid;

use crate::basket::{self, LINES_MAX, QUANTITY_MAX};
use crate::error::Error;
use crate::neighbours::Beer;

use entity::{lines, orders};

/// How often an order is opened anew because another call closed it at once.
const OPEN_TRIES_MAX: usize = 3;

pub(crate) use entity::lines::Model as Line;
pub(crate) use entity::orders::Model as Order;

/// An order with its lines, in the order they were added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basket {
    pub(crate) order: Order,
    pub(crate) lines: Vec<Line>,
}

/// The order book.
#[derive(Debug)]
pub(crate) struct Book {
    store: Store,
}

impl Book {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Up to `limit` orders older than the one with id `before`, newest first: ids grow with time.
    pub(crate) async fn list(&self, owner: &str, before: Option<&str>, limit: u32) -> Result<Vec<Order>, Error> {
        use orders::Column::{Id, Owner};
        let mut query = orders::Entity::find().filter(Owner.eq(owner)).order_by_desc(Id).limit(u64::from(limit));
        if let Some(id) = before {
            query = query.filter(Id.lt(id));
        }
        Ok(query.all(&self.store.connection).await?)
    }

    /// One order, if it is this owner's.
    pub(crate) async fn get(&self, owner: &str, id: &str) -> Result<Basket, Error> {
        let which = orders::Column::Id.eq(id).and(orders::Column::Owner.eq(owner));
        let found = find(&self.store.connection, which).await?;
        found.ok_or_else(|| Error::UnknownOrder(shown(id)))
    }

    /// Whether there is an open order.
    pub(crate) async fn has_open(&self, owner: &str) -> Result<bool, Error> {
        let query = orders::Entity::find().filter(orders::Column::OpenOwner.eq(owner));
        Ok(query.one(&self.store.connection).await?.is_some())
    }

    /// The open order, if there is one.
    pub(crate) async fn find_open(&self, owner: &str) -> Result<Option<Basket>, Error> {
        Ok(find(&self.store.connection, orders::Column::OpenOwner.eq(owner)).await?)
    }

    /// The open order; one is opened if there is none.
    pub(crate) async fn open(&self, owner: &str) -> Result<Basket, Error> {
        for _ in 0..OPEN_TRIES_MAX {
            ensure_open(&self.store.connection, owner).await?;
            if let Some(basket) = self.find_open(owner).await? {
                return Ok(basket);
            }
        }
        Err(Error::Contended)
    }

    /// Adds to the line of a beer in the open order, opening order and line if there are none. Returns the order as
    /// it is then.
    pub(crate) async fn add(&self, owner: &str, beer: &Beer, quantity: i32) -> Result<Basket, Error> {
        let transaction = self.store.begin().await?;
        let order = open_and_touch(&transaction, owner).await?;
        let which = orders::Column::Id.eq(&order.id);
        let row = lines::ActiveModel {
            order_id: Set(order.id),
            sku: Set(beer.sku.clone()),
            beer_id: Set(beer.id.clone()),
            // Versions only grow, so they number the lines in the order they were added.
            position: Set(order.version),
            quantity: Set(quantity),
            unit_price_minor: Set(None),
        };
        let sum = Expr::col((lines::Entity, lines::Column::Quantity)).add(quantity);
        let conflict = OnConflict::columns([lines::Column::OrderId, lines::Column::Sku])
            .value(lines::Column::Quantity, sum)
            .to_owned();
        let line = lines::Entity::insert(row).on_conflict(conflict).exec_with_returning(&transaction).await?;
        if line.quantity > QUANTITY_MAX {
            return Err(Error::LineFull(line.quantity - quantity));
        }
        // Read before the commit: a call that fails has changed nothing.
        let basket = find(&transaction, which).await?.ok_or(Error::Contended)?;
        if basket.lines.len() > LINES_MAX {
            return Err(Error::OrderFull);
        }
        transaction.commit().await?;
        Ok(basket)
    }

    /// Takes a line out of the open order.
    pub(crate) async fn remove(&self, owner: &str, sku: &str) -> Result<(), Error> {
        let transaction = self.store.begin().await?;
        let absent = || Error::NotInOrder(shown(sku));
        let order = touch(&transaction, owner).await?.ok_or_else(absent)?;
        let removed = lines::Entity::delete_by_id((order.id, sku.to_owned())).exec(&transaction).await?;
        if removed.rows_affected == 0 {
            return Err(absent());
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Closes an order at these unit prices by SKU, one for every line; `None` when it is not what it was when it was
    /// read.
    pub(crate) async fn close(&self, basket: Basket, prices: &HashMap<String, i64>) -> Result<Option<Basket>, Error> {
        use orders::Column::{Id, ModifiedMs, OpenOwner, TotalMinor, Version};
        let Basket { order, mut lines } = basket;
        let costs = lines.iter().map(|line| (line.quantity, prices[&line.sku]));
        let total = basket::total(costs).ok_or(Error::TotalTooLarge)?;
        for line in &mut lines {
            line.unit_price_minor = Some(prices[&line.sku]);
        }

        let transaction = self.store.begin().await?;
        let closed = orders::Entity::update_many()
            .col_expr(OpenOwner, Expr::value(None::<String>))
            .col_expr(Version, Expr::col(Version).add(1))
            .col_expr(TotalMinor, Expr::value(total))
            .col_expr(ModifiedMs, Expr::value(now_ms()))
            .filter(Id.eq(order.id).and(Version.eq(order.version)).and(OpenOwner.is_not_null()))
            .exec_with_returning(&transaction)
            .await?;
        let Some(order) = closed.into_iter().next() else { return Ok(None) };
        // One statement for all lines: they exist, so each is a conflict that sets the price.
        let priced = lines.iter().map(|line| line.clone().into_active_model().reset_all());
        let conflict = OnConflict::columns([lines::Column::OrderId, lines::Column::Sku])
            .update_column(lines::Column::UnitPriceMinor)
            .to_owned();
        lines::Entity::insert_many(priced).on_conflict(conflict).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(Some(Basket { order, lines }))
    }
}

/// Reads an order and its lines in one statement, so that both are of the same moment.
async fn find(connection: &impl ConnectionTrait, which: Expr) -> Result<Option<Basket>, DbErr> {
    let query = orders::Entity::find().find_with_related(lines::Entity).filter(which);
    let found = query.order_by_asc(lines::Column::Position).all(connection).await?;
    Ok(found.into_iter().next().map(|(order, lines)| Basket { order, lines }))
}

async fn ensure_open(connection: &impl ConnectionTrait, owner: &str) -> Result<(), DbErr> {
    let now = now_ms();
    let row = orders::ActiveModel {
        id: Set(Uuid::now_v7().to_string()),
        owner: Set(owner.to_owned()),
        open_owner: Set(Some(owner.to_owned())),
        version: Set(0),
        total_minor: Set(None),
        created_ms: Set(now),
        modified_ms: Set(now),
    };
    let insert = orders::Entity::insert(row).on_conflict_do_nothing_on([orders::Column::OpenOwner]);
    insert.exec_without_returning(connection).await?;
    Ok(())
}

/// Raises the version of the open order, which is opened if there is none.
async fn open_and_touch(connection: &impl ConnectionTrait, owner: &str) -> Result<Order, Error> {
    for _ in 0..OPEN_TRIES_MAX {
        ensure_open(connection, owner).await?;
        if let Some(order) = touch(connection, owner).await? {
            return Ok(order);
        }
    }
    Err(Error::Contended)
}

/// Raises the version of the open order, which locks it until the transaction ends; `None` when there is none.
async fn touch(connection: &impl ConnectionTrait, owner: &str) -> Result<Option<Order>, DbErr> {
    use orders::Column::{ModifiedMs, OpenOwner, Version};
    let touched = orders::Entity::update_many()
        .col_expr(Version, Expr::col(Version).add(1))
        .col_expr(ModifiedMs, Expr::value(now_ms()))
        .filter(OpenOwner.eq(owner))
        .exec_with_returning(connection)
        .await?;
    Ok(touched.into_iter().next())
}

#[cfg(test)]
mod tests;
