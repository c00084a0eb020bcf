//! `malla.orders.v1` in terms of the domain. Whose orders they are, the access token tells.

use malla_contracts::malla::orders::v1 as proto;
use malla_contracts::malla::orders::v1::orders_service_server::OrdersService;
use malla_runtime::auth::Caller;
use malla_runtime::{decimal, page};
use malla_storage::database::timestamp;
use tonic::{Request, Response, Status};

use crate::basket;
use crate::error::Error;
use crate::orders::Orders;
use crate::store::{Basket, Line, Order};

const PAGE_SIZE_MAX: u32 = 1_000;

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    orders: Orders,
}

impl Service {
    pub(crate) fn new(orders: Orders) -> Self {
        Self { orders }
    }
}

#[tonic::async_trait]
impl OrdersService for Service {
    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Result<Response<proto::ListOrdersResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let request = request.into_inner();
        let size = page::size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let before = page::key(&request.page_token)?;
        let mut orders = self.orders.list(&owner, before.as_deref(), size + 1).await?;
        let next_page_token = page::cut(&mut orders, size, |order| order.id.clone());
        let orders = orders.into_iter().map(summary).collect();
        Ok(Response::new(proto::ListOrdersResponse { orders, next_page_token }))
    }

    async fn get_current_order(
        &self,
        request: Request<proto::GetCurrentOrderRequest>,
    ) -> Result<Response<proto::GetCurrentOrderResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let basket = self.orders.current(&owner).await?;
        Ok(Response::new(proto::GetCurrentOrderResponse { order: Some(order(basket)) }))
    }

    async fn add_beer(
        &self,
        request: Request<proto::AddBeerRequest>,
    ) -> Result<Response<proto::AddBeerResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let proto::AddBeerRequest { sku, quantity } = request.into_inner();
        basket::sku(&sku).and_then(|()| basket::quantity(quantity)).map_err(Error::from)?;
        let basket = self.orders.add(&owner, &sku, quantity).await?;
        Ok(Response::new(proto::AddBeerResponse { order: Some(order(basket)) }))
    }

    async fn remove_beer(
        &self,
        request: Request<proto::RemoveBeerRequest>,
    ) -> Result<Response<proto::RemoveBeerResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let sku = request.into_inner().sku;
        basket::sku(&sku).map_err(Error::from)?;
        self.orders.remove(&owner, &sku).await?;
        Ok(Response::new(proto::RemoveBeerResponse {}))
    }

    async fn checkout(
        &self,
        request: Request<proto::CheckoutRequest>,
    ) -> Result<Response<proto::CheckoutResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let basket = self.orders.checkout(&owner).await?;
        Ok(Response::new(proto::CheckoutResponse { order: Some(order(basket)) }))
    }

    async fn get_order(
        &self,
        request: Request<proto::GetOrderRequest>,
    ) -> Result<Response<proto::GetOrderResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let basket = self.orders.get(&owner, &request.into_inner().id).await?;
        Ok(Response::new(proto::GetOrderResponse { order: Some(order(basket)) }))
    }
}

fn summary(order: Order) -> proto::OrderSummary {
    proto::OrderSummary {
        id: order.id,
        is_open: order.open_owner.is_some(),
        time_created: Some(timestamp(order.created_ms)),
        time_modified: Some(timestamp(order.modified_ms)),
    }
}

fn order(Basket { order, lines }: Basket) -> proto::Order {
    let total = order.total_minor.map(decimal::format).unwrap_or_default();
    let proto::OrderSummary { id, is_open, time_created, time_modified } = summary(order);
    let beers = lines.into_iter().map(line).collect();
    proto::Order { id, is_open, beers, total, time_created, time_modified }
}

fn line(Line { beer_id, sku, quantity, unit_price_minor, .. }: Line) -> proto::OrderLine {
    let unit_price = unit_price_minor.map(decimal::format).unwrap_or_default();
    proto::OrderLine { id: beer_id, sku, quantity, unit_price }
}

#[cfg(test)]
mod tests;
