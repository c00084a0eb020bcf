//! Cities: looked up without case, cached, changed by operators only.

use serde_json::json;
use tonic::Code;

use crate::support::{OPERATOR, assert_fails, everywhere};

const GET: &str = "malla.availability.v1.AvailabilityService/GetCity";
const LIST: &str = "malla.availability.v1.AvailabilityService/ListCities";
const UPSERT: &str = "malla.availability.v1.AvailabilityService/UpsertCity";
const UPDATE: &str = "malla.availability.v1.AvailabilityService/UpdateCity";

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_cached_until_an_operator_writes() {
    everywhere(async |_, lane| {
        let operator = lane.with_token(OPERATOR);
        let leon = json!({"country": "Ni", "city": "lEON"});
        let answer =
            |active: bool, cache: &str| json!({"active": active, "country": "ni", "city": "Leon", "cache": cache});
        assert_eq!(lane.call(GET, leon.clone()).await, Ok(answer(true, "miss")));
        assert_eq!(lane.call(GET, leon.clone()).await, Ok(answer(true, "hit")));

        let closed = json!({"country": "NI", "city": "leon", "active": false});
        let stored = json!({"city": {"active": false, "country": "ni", "city": "Leon"}});
        assert_eq!(operator.call(UPDATE, closed).await, Ok(stored));
        assert_eq!(lane.call(GET, leon.clone()).await, Ok(answer(false, "miss")));
        assert_eq!(lane.call(GET, leon).await, Ok(answer(false, "hit")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_write() {
    everywhere(async |_, lane| {
        let city = json!({"country": "fr", "city": "Lyon", "active": true});
        for rpc in [UPSERT, UPDATE] {
            assert_fails(lane.call(rpc, city.clone()).await, Code::Unauthenticated, "credentials");
            assert_fails(lane.with_token("wrong").call(rpc, city.clone()).await, Code::Unauthenticated, "token");
        }
        let user = lane.user("ana").await;
        assert_fails(user.call(UPSERT, city.clone()).await, Code::PermissionDenied, "operators");
        let operator = lane.with_token(OPERATOR);
        assert_fails(operator.call(UPDATE, city.clone()).await, Code::NotFound, "Lyon");
        operator.call(UPSERT, city).await.unwrap();
        for bad in [json!({"country": "fra", "city": "Lyon", "active": true}), json!({"country": "fr", "city": "Lyon"})]
        {
            assert_fails(operator.call(UPSERT, bad).await, Code::InvalidArgument, ":");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_cities_are_the_whole_list_in_order() {
    everywhere(async |_, lane| {
        let all = lane.call(LIST, json!({"include_inactive": true})).await.unwrap();
        assert_eq!(all["cities"].as_array().unwrap().len(), 11);
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let ask = json!({"include_inactive": true, "page_size": 3, "page_token": token});
            let page = lane.call(LIST, ask).await.unwrap();
            seen.extend(page["cities"].as_array().unwrap().iter().cloned());
            token = page["next_page_token"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(json!(seen), all["cities"]);
        assert_fails(lane.call(LIST, json!({"page_size": 1001})).await, Code::InvalidArgument, "page_size");
        assert_fails(lane.call(LIST, json!({"page_token": "zz"})).await, Code::InvalidArgument, "page_token");
    })
    .await;
}
