//! The whole mesh on one PostgreSQL: a schema for each service, and answers as from SQLite.

use serde_json::json;
use tonic::Code;

use crate::support::{Lane, Mesh, Topology, assert_fails};

const SERVICES: [&str; 8] = ["AVAILABILITY", "PRICING", "COMMENTS", "QUEUE", "USERS", "BEERS", "ORDERS", "OPERATIONS"];

/// All beers' SKUs, page by page.
async fn skus(lane: &Lane) -> Vec<String> {
    let (mut skus, mut token) = (Vec::new(), String::new());
    loop {
        let request = json!({"page_size": 2, "page_token": token});
        let page = lane.call("malla.beers.v1.BeersService/ListBeers", request).await.unwrap();
        let beers = page["beers"].as_array().cloned().unwrap_or_default();
        skus.extend(beers.iter().map(|beer| beer["sku"].as_str().unwrap().to_owned()));
        token = page["next_page_token"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return skus;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_mesh_shares_one_postgres() {
    let Some(url) = malla_servers::fresh_database() else { return };
    let keys = SERVICES.map(|service| format!("{service}__DATABASE__URL"));
    let settings: Vec<_> = keys.iter().map(|key| (key.as_str(), url.as_str())).collect();
    let mut mesh = Mesh::start_with(Topology::OneProcess, &settings).await;
    let lane = Lane::rest(&mesh);
    let user = lane.user("ana").await;

    for sku in ["b a", "ba", "B", "b-a", "_"] {
        let beer = json!({"sku": sku, "name": "Stout", "price": "3.50"});
        user.call("malla.beers.v1.BeersService/CreateBeer", beer).await.unwrap();
    }
    let sorted = ["123456", "123457", "123458", "B", "_", "b a", "b-a", "ba"];
    assert_eq!(skus(&lane).await, sorted, "by bytes, as on SQLite");
    let twice = json!({"sku": "ba", "name": "Stout", "price": "3.50"});
    assert_fails(user.call("malla.beers.v1.BeersService/CreateBeer", twice).await, Code::AlreadyExists, "ba");

    let bought = json!({"sku": "ba", "quantity": 2});
    user.call("malla.orders.v1.OrdersService/AddBeer", bought).await.unwrap();
    let closed = user.call("malla.orders.v1.OrdersService/Checkout", json!({})).await.unwrap();
    assert_eq!(closed["order"]["total"], json!("7.00"));

    let comment = json!({"email": "ana@example.com", "comment": "good", "content_id": "1"});
    lane.call("malla.comments.v1.CommentsService/CreateComment", comment).await.unwrap();
    user.call("malla.queue.v1.QueueService/Push", json!({"queue": "jobs", "body": {"a": 1}})).await.unwrap();
    let nul = json!({"email": "ana@example.com", "comment": "a\u{0}b", "content_id": "1"});
    assert_fails(lane.call("malla.comments.v1.CommentsService/CreateComment", nul).await, Code::InvalidArgument, "");

    mesh.kill("all").await;
    mesh.restart("all").await;
    mesh.healthy().await;
    assert_eq!(skus(&lane).await, sorted);
    let popped = user.call("malla.queue.v1.QueueService/Pop", json!({"queue": "jobs"})).await.unwrap();
    assert_eq!(popped["body"], json!({"a": 1}), "the token is still good, and the message there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_not_there_is_named_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let output = crate::support::malla()
        .args(["run", "users", "--data-dir"])
        .arg(data.path())
        .env("MALLA_USERS__DATABASE__URL", "postgres://malla:geheim@127.0.0.1:1/mesh")
        .env("MALLA_USERS__DATABASE__ACQUIRE_MS", "100")
        .env("MALLA_LISTEN__USERS", "127.0.0.1:0")
        .env("MALLA_LISTEN__ADMIN", "off")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("postgres 127.0.0.1:1/mesh schema users cannot be opened"), "{said}");
    assert!(!said.contains("geheim"), "{said}");
}
