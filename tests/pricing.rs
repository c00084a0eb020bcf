//! Prices and quotes: the largest variation that fits the weather, exactly; the base price when nobody knows it.

use serde_json::json;
use tonic::Code;

use crate::support::{Lane, Mesh, OPERATOR, Topology, assert_fails};
use crate::weather::Provider;

fn rpc(name: &str) -> String {
    format!("malla.pricing.v1.PricingService/{name}")
}

async fn everywhere<F: AsyncFn(&Lane, &Provider)>(scenario: F) {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        for rest in [true, false] {
            let provider = Provider::start().await;
            let mesh = Mesh::start_with(topology, &[("PRICING__WEATHER__BASE_URL", provider.base())]).await;
            let lane = if rest { Lane::rest(&mesh) } else { Lane::grpc(&mesh).await };
            scenario(&lane, &provider).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_takes_the_largest_variation_that_fits_the_weather() {
    everywhere(async |lane, provider| {
        let operator = lane.with_token(OPERATOR);
        let coat = json!({"sku": "C/1", "description": "Coat", "price": "19.99"});
        assert_fails(lane.call(&rpc("UpsertProduct"), coat.clone()).await, Code::Unauthenticated, "credentials");
        operator.call(&rpc("UpsertProduct"), coat).await.unwrap();
        let rule = |variation: f64, min: i32, max: i32| {
            let rule = json!({"country": "NI", "city": "leon", "variation": variation, "min_condition": min, "max_condition": max});
            json!({"sku": "C/1", "rule": rule})
        };
        let first = operator.call(&rpc("CreateRule"), rule(1.005, 600, 699)).await.unwrap();
        operator.call(&rpc("CreateRule"), rule(1.25, 600, 610)).await.unwrap();
        for bad in [rule(0.0, 1, 2), rule(1.0001, 1, 2), rule(2.0, 5, 4), rule(2.0, 1, 1_000)] {
            assert_fails(operator.call(&rpc("CreateRule"), bad).await, Code::InvalidArgument, ":");
        }
        let ask = json!({"sku": "C/1", "country": "ni", "city": "Leon"});
        let rows = [(605, 1.25, "24.99"), (650, 1.005, "20.09"), (800, 1.0, "19.99")];
        for (condition, variation, price) in rows {
            provider.condition(condition);
            // A write empties the cache, so that the new weather is asked for.
            operator.call(&rpc("UpsertProduct"), json!({"sku": "C/1", "description": "Coat", "price": "19.99"})).await.unwrap();
            let quote = lane.call(&rpc("CreateQuote"), ask.clone()).await.unwrap();
            let quote = &quote["quote"];
            assert_eq!((quote["variation"].as_f64(), quote["price"].as_str()), (Some(variation), Some(price)), "{condition}");
        }
        let rules = lane.call(&rpc("ListRules"), json!({"sku": "C/1"})).await.unwrap();
        assert_eq!(rules["rules"].as_array().unwrap().len(), 2);
        let delete = json!({"sku": "C/1", "id": first["rule"]["id"]});
        assert_eq!(operator.call(&rpc("DeleteRule"), delete.clone()).await, Ok(json!({})));
        assert_fails(operator.call(&rpc("DeleteRule"), delete).await, Code::NotFound, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_quote_where_sales_are_not_open() {
    everywhere(async |lane, provider| {
        let ask = |sku: &str, city: &str| json!({"sku": sku, "country": "ni", "city": city});
        let quote = rpc("CreateQuote");
        assert_fails(lane.call(&quote, ask("AZ00001", "Managua")).await, Code::FailedPrecondition, "Managua");
        assert_fails(lane.call(&quote, ask("AZ00001", "Atlantis")).await, Code::NotFound, "Atlantis");
        assert_fails(lane.call(&quote, ask("nope", "Leon")).await, Code::NotFound, "nope");
        assert_eq!(provider.requests(), Vec::<String>::new(), "nobody is asked for nothing");
    })
    .await;
}
