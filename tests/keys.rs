//! Idempotency keys: however often a call comes, and however many at once, it has one effect and one answer.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Failure, Lane, Mesh, OPERATOR, Topology, everywhere};

const COMMENT: &str = "malla.comments.v1.CommentsService/CreateComment";
const COMMENTS: &str = "malla.comments.v1.CommentsService/ListComments";
const BEER: &str = "malla.beers.v1.BeersService/CreateBeer";
pub(crate) const ADD: &str = "malla.orders.v1.OrdersService/AddBeer";
pub(crate) const CHECKOUT: &str = "malla.orders.v1.OrdersService/Checkout";
const ORDERS: &str = "malla.orders.v1.OrdersService/ListOrders";
const PUSH: &str = "malla.queue.v1.QueueService/Push";
const COUNT: &str = "malla.queue.v1.QueueService/Count";
const UPSERT: &str = "malla.availability.v1.AvailabilityService/UpsertCity";
const CITY: &str = "malla.availability.v1.AvailabilityService/GetCity";

fn code(outcome: Result<Value, Failure>) -> Code {
    outcome.expect_err("refused").code
}

/// How many orders of a user's are closed.
pub(crate) async fn closed(user: &Lane) -> usize {
    let orders = user.call(ORDERS, json!({})).await.unwrap();
    orders["orders"].as_array().unwrap().iter().filter(|order| order["is_open"] == false).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_has_one_effect_and_one_answer() {
    everywhere(async |_, lane| {
        let comment = |text: &str| json!({"content_id": "1", "email": "a@example.com", "comment": text});
        let keyed = lane.with_key("k-1");
        let first = keyed.call(COMMENT, comment("once")).await.unwrap();
        for _ in 0..100 {
            assert_eq!(keyed.call(COMMENT, comment("once")).await.as_ref(), Ok(&first));
        }
        assert_eq!(code(keyed.call(COMMENT, comment("twice")).await), Code::AlreadyExists);
        let listed = lane.call(COMMENTS, json!({"content_id": "1"})).await.unwrap();
        assert_eq!(listed["comments"].as_array().unwrap().len(), 1);

        let user = lane.user("ana").await.with_key("k-1");
        let beer = json!({"sku": "900001", "name": "Once", "price": "2.50"});
        let added = user.call(BEER, beer.clone()).await.unwrap();
        assert_eq!(user.call(BEER, beer.clone()).await, Ok(added), "not: the SKU is taken");
        assert_eq!(code(user.with_key("k-2").call(BEER, beer).await), Code::AlreadyExists);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_callers_own() {
    everywhere(async |_, lane| {
        let (ana, ben) = (lane.user("ana").await.with_key("k"), lane.user("ben").await.with_key("k"));
        for user in [&ana, &ben] {
            let add = json!({"sku": "123456", "quantity": 2});
            for _ in 0..2 {
                let order = user.call(ADD, add.clone()).await.unwrap();
                assert_eq!(order["order"]["beers"][0]["quantity"], json!(2));
            }
            user.call(CHECKOUT, json!({})).await.unwrap();
            // Another order by now, which a checkout that comes late must leave alone.
            user.with_key("later").call(ADD, add).await.unwrap();
            user.call(CHECKOUT, json!({})).await.unwrap();
            assert_eq!(closed(user).await, 1);
        }
        let ids = [ana.call(PUSH, json!({"queue": "q", "body": 1})).await.unwrap(), {
            ben.call(PUSH, json!({"queue": "q", "body": 2})).await.unwrap()
        }];
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ana.call(PUSH, json!({"queue": "q", "body": 1})).await.as_ref(), Ok(&ids[0]));
        assert_eq!(code(ana.call(PUSH, json!({"queue": "q", "body": 3})).await), Code::AlreadyExists);
        assert_eq!(ana.call(COUNT, json!({"queue": "q"})).await, Ok(json!({"count": 2})));

        // Anyone may comment: who sends a token all the same is known by it.
        let nobody = lane.with_key("k");
        let comment = |text: &str| json!({"content_id": "1", "email": "a@example.com", "comment": text});
        for (caller, text) in [(&ana, "ana's"), (&ben, "ben's"), (&nobody, "anyone's")] {
            let first = caller.call(COMMENT, comment(text)).await.unwrap();
            assert_eq!(caller.call(COMMENT, comment(text)).await, Ok(first), "{text}");
        }
        assert_eq!(
            lane.call(COMMENTS, json!({"content_id": "1"})).await.unwrap()["comments"].as_array().unwrap().len(),
            3
        );
    })
    .await;
}

/// The cache in front of the store learns of a keyed change too.
#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_change_is_seen_at_once() {
    everywhere(async |_, lane| {
        let operator = lane.with_token(OPERATOR);
        for (number, active) in [true, false, true, false].into_iter().enumerate() {
            let city = json!({"city": "Tona", "country": "ni", "active": active});
            operator.with_key(&number.to_string()).call(UPSERT, city).await.unwrap();
            for _ in 0..2 {
                let city = lane.call(CITY, json!({"city": "Tona", "country": "ni"})).await.unwrap();
                assert_eq!(city["active"], json!(active));
            }
        }
    })
    .await;
}

/// A call as HTTP has it: status, headers and body.
pub(crate) async fn post(
    mesh: &Mesh,
    path: &str,
    user: &Lane,
    key: &str,
    body: Value,
) -> Option<(u16, HeaderMap, Value)> {
    let request = reqwest::Client::new().post(format!("{}{path}", mesh.edge())).bearer_auth(user.token());
    let answer = request.header("idempotency-key", key).json(&body).send().await.ok()?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Some((status, headers, answer.json().await.ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn http_tells_what_became_of_a_key() {
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    let user = Lane::rest(&mesh).user("ana").await;
    let path = "/v1/orders/current/beers";
    let beer = |quantity: i32| json!({"sku": "123456", "quantity": quantity});
    let (status, headers, first) = post(&mesh, path, &user, "\"k\"", beer(1)).await.unwrap();
    assert_eq!((status, headers.get("idempotent-replayed")), (201, None));
    let (status, headers, again) = post(&mesh, path, &user, "k", beer(1)).await.unwrap();
    assert_eq!((status, headers["idempotent-replayed"].as_bytes(), &again), (201, &b"true"[..], &first));
    let (status, _, refused) = post(&mesh, path, &user, "k", beer(2)).await.unwrap();
    assert_eq!((status, &refused["details"][0]["reason"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
    let (status, _, refused) = post(&mesh, path, &user, "\"k", beer(1)).await.unwrap();
    assert_eq!((status, &refused["details"][0]["field_violations"][0]["field"]), (400, &json!("Idempotency-Key")));

    let checkout = reqwest::Client::new().post(format!("{}/v1/orders/current:checkout", mesh.edge()));
    let answer = checkout.bearer_auth(user.token()).send().await.unwrap();
    let made = answer.headers()["idempotency-key"].to_str().unwrap().to_owned();
    let first: Value = answer.json().await.unwrap();
    let (status, headers, again) = post(&mesh, "/v1/orders/current:checkout", &user, &made, json!({})).await.unwrap();
    assert_eq!((status, headers["idempotent-replayed"].as_bytes(), again), (200, &b"true"[..], first));
    // The old path has a method that changes nothing elsewhere; what it is bound to wants a key all the same.
    let checkout = reqwest::Client::new().get(format!("{}/api/orders/checkout", mesh.edge()));
    let answer = checkout.bearer_auth(user.token()).header("idempotency-key", &made).send().await.unwrap();
    assert_eq!(answer.headers()["idempotent-replayed"], "true");
}
