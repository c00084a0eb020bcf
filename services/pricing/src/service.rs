//! `malla.pricing.v1` in terms of the domain.

use malla_contracts::malla::pricing::v1 as proto;
use malla_contracts::malla::pricing::v1::pricing_service_server::PricingService;
use malla_runtime::{decimal, page, status};
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::quotes::{Quote, Quotes};
use crate::rules::{self, Place, Product, Rule};

const PAGE_SIZE_MAX: u32 = 1_000;

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    quotes: Quotes,
}

impl Service {
    pub(crate) fn new(quotes: Quotes) -> Self {
        Self { quotes }
    }
}

#[tonic::async_trait]
impl PricingService for Service {
    async fn list_products(
        &self,
        request: Request<proto::ListProductsRequest>,
    ) -> Result<Response<proto::ListProductsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let after = page::key(&request.page_token)?;
        let mut products = self.quotes.products.list(after.as_deref(), size + 1).await?;
        let next_page_token = page::cut(&mut products, size, |product| product.sku.clone());
        let products = products.into_iter().map(product).collect();
        Ok(Response::new(proto::ListProductsResponse { products, next_page_token }))
    }

    async fn get_product(
        &self,
        request: Request<proto::GetProductRequest>,
    ) -> Result<Response<proto::GetProductResponse>, Status> {
        let found = self.quotes.products.get(&request.into_inner().sku).await?;
        Ok(Response::new(proto::GetProductResponse { product: Some(product(found)) }))
    }

    async fn upsert_product(
        &self,
        request: Request<proto::UpsertProductRequest>,
    ) -> Result<Response<proto::UpsertProductResponse>, Status> {
        let proto::UpsertProductRequest { sku, description, price } = request.into_inner();
        let stored = Product::new(sku, description, &price).map_err(Error::from)?;
        self.quotes.products.upsert(&stored).await?;
        self.quotes.forget();
        Ok(Response::new(proto::UpsertProductResponse { product: Some(product(stored)) }))
    }

    async fn list_rules(
        &self,
        request: Request<proto::ListRulesRequest>,
    ) -> Result<Response<proto::ListRulesResponse>, Status> {
        let found = self.quotes.products.rules(&request.into_inner().sku).await?;
        let rules = found.into_iter().map(|(id, found)| rule(id, found)).collect();
        Ok(Response::new(proto::ListRulesResponse { rules }))
    }

    async fn create_rule(
        &self,
        request: Request<proto::CreateRuleRequest>,
    ) -> Result<Response<proto::CreateRuleResponse>, Status> {
        let proto::CreateRuleRequest { sku, rule: given } = request.into_inner();
        let given = given.ok_or_else(|| status::invalid("rule", "must be given"))?;
        let place = Place::new(&given.country, &given.city).map_err(Error::from)?;
        let made = Rule::new(place, given.variation, given.min_condition, given.max_condition).map_err(Error::from)?;
        let id = self.quotes.products.create_rule(&sku, &made).await?;
        self.quotes.forget();
        Ok(Response::new(proto::CreateRuleResponse { rule: Some(rule(id, made)) }))
    }

    async fn delete_rule(
        &self,
        request: Request<proto::DeleteRuleRequest>,
    ) -> Result<Response<proto::DeleteRuleResponse>, Status> {
        let proto::DeleteRuleRequest { sku, id } = request.into_inner();
        self.quotes.products.delete_rule(&sku, &id).await?;
        self.quotes.forget();
        Ok(Response::new(proto::DeleteRuleResponse {}))
    }

    async fn create_quote(
        &self,
        request: Request<proto::CreateQuoteRequest>,
    ) -> Result<Response<proto::CreateQuoteResponse>, Status> {
        let proto::CreateQuoteRequest { sku, country, city } = request.into_inner();
        let place = Place::new(&country, &city).map_err(Error::from)?;
        let Quote { product, variation_milli, weather_known, cached } = self.quotes.quote(&sku, &place).await?;
        let quote = proto::Quote {
            sku: product.sku,
            description: product.description,
            country,
            city,
            base_price: decimal::format(product.price_minor),
            variation: rules::variation(variation_milli),
            price: decimal::format(rules::price(product.price_minor, variation_milli)),
            weather: if weather_known { "available" } else { "unavailable" }.to_owned(),
            cache: if cached { "hit" } else { "miss" }.to_owned(),
        };
        Ok(Response::new(proto::CreateQuoteResponse { quote: Some(quote) }))
    }
}

fn product(Product { sku, description, price_minor }: Product) -> proto::Product {
    proto::Product { sku, description, price: decimal::format(price_minor) }
}

fn rule(id: String, Rule { place, variation_milli, min_condition, max_condition }: Rule) -> proto::Rule {
    let Place { country, city, .. } = place;
    proto::Rule { id, country, city, variation: rules::variation(variation_milli), min_condition, max_condition }
}

#[cfg(test)]
mod tests;
