//! The steps of a call: what is asked of whom, and in which order. Knows no proto and no SQL.

use crate::error::Error;
use crate::neighbours::Neighbours;
use crate::store::{Basket, Book, Order};

/// How often a checkout begins anew because the order was changed while prices were being asked for.
const CHECKOUT_TRIES_MAX: usize = 8;

/// All orders.
#[derive(Debug)]
pub(crate) struct Orders {
    book: Book,
    neighbours: Neighbours,
}

impl Orders {
    pub(crate) fn new(book: Book, neighbours: Neighbours) -> Self {
        Self { book, neighbours }
    }

    /// Up to `limit` orders of this owner that are older than the one with id `before`, newest first.
    pub(crate) async fn list(&self, owner: &str, before: Option<&str>, limit: u32) -> Result<Vec<Order>, Error> {
        self.book.list(owner, before, limit).await
    }

    /// One order of this owner's.
    pub(crate) async fn get(&self, owner: &str, id: &str) -> Result<Basket, Error> {
        self.book.get(owner, id).await
    }

    /// The open order; one is opened if there is none.
    pub(crate) async fn current(&self, owner: &str) -> Result<Basket, Error> {
        match self.book.find_open(owner).await? {
            Some(basket) => Ok(basket),
            None => {
                self.neighbours.check_account(owner).await?;
                self.book.open(owner).await
            }
        }
    }

    /// Adds to the line of a beer in the open order.
    pub(crate) async fn add(&self, owner: &str, sku: &str, quantity: i32) -> Result<Basket, Error> {
        let beer = self.neighbours.beer(sku).await?;
        if !self.book.has_open(owner).await? {
            self.neighbours.check_account(owner).await?;
        }
        self.book.add(owner, &beer, quantity).await
    }

    /// Takes a line out of the open order.
    pub(crate) async fn remove(&self, owner: &str, sku: &str) -> Result<(), Error> {
        self.book.remove(owner, sku).await
    }

    /// Closes the open order at the prices of now; an empty one stays open.
    ///
    /// Prices are asked for outside any transaction, and the order closes only if it is then what it was when they
    /// were asked for. So what another call adds meanwhile is priced too, or begins the next order.
    pub(crate) async fn checkout(&self, owner: &str) -> Result<Basket, Error> {
        for _ in 0..CHECKOUT_TRIES_MAX {
            let basket = self.current(owner).await?;
            if basket.lines.is_empty() {
                return Ok(basket);
            }
            let skus = basket.lines.iter().map(|line| line.sku.clone()).collect();
            let prices = self.neighbours.prices(skus).await?;
            if let Some(closed) = self.book.close(basket, &prices).await? {
                return Ok(closed);
            }
        }
        Err(Error::Contended)
    }
}

#[cfg(test)]
pub(crate) mod tests;
