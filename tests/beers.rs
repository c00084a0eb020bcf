//! The catalogue: exact prices, changed by users only, what is not given stays.

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{assert_fails, everywhere};

fn rpc(name: &str) -> String {
    format!("malla.beers.v1.BeersService/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beer_is_added_changed_and_removed() {
    everywhere(async |_, lane| {
        let user = lane.user("brewer").await;
        let stout = json!({"sku": "st/7 ü", "name": "Stout", "price": "3.5"});
        assert_fails(user.call(&rpc("CreateBeer"), stout).await, Code::InvalidArgument, "sku");
        let stout = json!({"sku": "st 7:ü", "name": "Stout", "price": "3.5"});
        assert_fails(lane.call(&rpc("CreateBeer"), stout.clone()).await, Code::Unauthenticated, "credentials");
        let added = user.call(&rpc("CreateBeer"), stout.clone()).await.unwrap();
        assert_eq!(added["beer"]["price"], json!("3.50"));
        assert_fails(user.call(&rpc("CreateBeer"), stout).await, Code::AlreadyExists, "st 7:ü");
        let renamed = user.call(&rpc("UpdateBeer"), json!({"sku": "st 7:ü", "name": "Porter"})).await.unwrap();
        assert_eq!((&renamed["beer"]["name"], &renamed["beer"]["price"]), (&json!("Porter"), &json!("3.50")));
        for price in ["-1", "1.999", "1e2", "1000000", ""] {
            let bad = json!({"sku": "st 7:ü", "price": price});
            assert_fails(user.call(&rpc("UpdateBeer"), bad).await, Code::InvalidArgument, "price");
        }
        let read = lane.call(&rpc("GetBeer"), json!({"sku": "st 7:ü"})).await.unwrap();
        assert_eq!(read["beer"], renamed["beer"]);
        assert_eq!(user.call(&rpc("DeleteBeer"), json!({"sku": "st 7:ü"})).await, Ok(json!({})));
        assert_fails(lane.call(&rpc("GetBeer"), json!({"sku": "st 7:ü"})).await, Code::NotFound, "st 7:ü");
        let left = lane.call(&rpc("ListBeers"), json!({"page_size": 2})).await.unwrap();
        let skus: Vec<&Value> = left["beers"].as_array().unwrap().iter().map(|beer| &beer["sku"]).collect();
        assert_eq!(
            (skus, left["next_page_token"].as_str()),
            (vec![&json!("123456"), &json!("123457")], Some("313233343537"))
        );
    })
    .await;
}
