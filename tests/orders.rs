//! Orders: nothing is lost when one user adds and checks out from many places at once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Lane, assert_fails, everywhere};

const ADD: &str = "malla.orders.v1.OrdersService/AddBeer";
const REMOVE: &str = "malla.orders.v1.OrdersService/RemoveBeer";
const CURRENT: &str = "malla.orders.v1.OrdersService/GetCurrentOrder";
const CHECKOUT: &str = "malla.orders.v1.OrdersService/Checkout";
const LIST: &str = "malla.orders.v1.OrdersService/ListOrders";
const GET: &str = "malla.orders.v1.OrdersService/GetOrder";

/// Quantities by SKU over all of a user's orders.
async fn everything(user: &Lane) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    let orders = user.call(LIST, json!({})).await.unwrap();
    for order in orders["orders"].as_array().unwrap() {
        let order = user.call(GET, json!({"id": order["id"]})).await.unwrap();
        for line in order["order"]["beers"].as_array().unwrap() {
            *all.entry(line["sku"].as_str().unwrap().to_owned()).or_default() += line["quantity"].as_i64().unwrap();
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_adds_and_checkouts_lose_nothing() {
    everywhere(async |_, lane| {
        let user = lane.user("thirsty").await;
        let calls = (0..60).map(|number| {
            let user = user.clone();
            tokio::spawn(async move {
                if number % 12 == 5 {
                    return (None, user.call(CHECKOUT, json!({})).await);
                }
                let sku = ["123456", "123457", "123458"][number % 3];
                (Some(sku), user.call(ADD, json!({"sku": sku, "quantity": 1})).await)
            })
        });
        let (mut added, mut unknown) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
        for outcome in join_all(calls).await {
            let (sku, outcome) = outcome.unwrap();
            match (sku, outcome) {
                (Some(sku), Ok(_)) => *added.entry(sku.to_owned()).or_default() += 1,
                (None, Ok(_)) => {}
                (_, Err(failure)) if failure.code == Code::Aborted => {}
                // The connection may have been lost with the answer.
                (sku, Err(failure)) => {
                    assert_eq!(failure.code, Code::Unavailable, "{failure:?}");
                    *unknown.entry(sku.unwrap_or_default().to_owned()).or_default() += 1;
                }
            }
        }
        // On a machine with nothing to spare many are told to come again.
        assert!(added.values().sum::<i64>() >= 10, "{added:?}");
        let stored = everything(&user).await;
        for sku in ["123456", "123457", "123458"] {
            let [stored, added, unknown] = [&stored, &added, &unknown].map(|by| by.get(sku).copied().unwrap_or(0));
            assert!((added..=added + unknown).contains(&stored), "{sku}: {stored} of {added}, and perhaps {unknown}");
        }
        let open = user.call(LIST, json!({})).await.unwrap();
        let open = open["orders"].as_array().unwrap().iter().filter(|order| order["is_open"] == true).count();
        assert!(open <= 1, "{open} open orders");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_takes_the_prices_of_now_exactly() {
    everywhere(async |_, lane| {
        let user = lane.user("buyer").await;
        for (sku, quantity) in [("123456", 3), ("123458", 7)] {
            user.call(ADD, json!({"sku": sku, "quantity": quantity})).await.unwrap();
        }
        let closed = user.call(CHECKOUT, json!({})).await.unwrap();
        assert_eq!(closed["order"]["total"], json!("14.07"));
        let prices: Vec<Value> =
            closed["order"]["beers"].as_array().unwrap().iter().map(|line| line["unit_price"].clone()).collect();
        assert_eq!(prices, [json!("1.19"), json!("1.50")]);
        let next = user.call(CURRENT, json!({})).await.unwrap();
        assert_ne!(next["order"]["id"], closed["order"]["id"]);
        assert_fails(user.call(REMOVE, json!({"sku": "123456"})).await, Code::NotFound, "123456");
        assert_fails(user.call(ADD, json!({"sku": "nope", "quantity": 1})).await, Code::NotFound, "nope");
        let stranger = lane.user("stranger").await;
        assert_fails(stranger.call(GET, json!({"id": closed["order"]["id"]})).await, Code::NotFound, "");
    })
    .await;
}
