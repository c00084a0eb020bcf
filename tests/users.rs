//! Accounts and tokens: a token is good everywhere until it is revoked, and dead everywhere within a second after.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use tonic::Code;

use crate::support::{Lane, Mesh, Topology, assert_fails, everywhere};

const LOGIN: &str = "malla.users.v1.UsersService/Login";
const LOGOUT: &str = "malla.users.v1.UsersService/Logout";
const CHECK: &str = "malla.users.v1.UsersService/CheckToken";
const ME: &str = "malla.users.v1.UsersService/GetMe";
const JWKS: &str = "malla.users.v1.UsersService/GetJwks";
const ORDERS: &str = "malla.orders.v1.OrdersService/ListOrders";
const COUNT: &str = "malla.queue.v1.QueueService/Count";
const OPERATIONS: &str = "google.longrunning.Operations/ListOperations";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_everywhere_until_logout_and_nowhere_a_second_later() {
    everywhere(async |_, lane| {
        let user = lane.user("eva").await;
        let everywhere = [
            (ME, json!({})),
            (ORDERS, json!({})),
            (COUNT, json!({"queue": "q"})),
            (OPERATIONS, json!({"name": "operations"})),
        ];
        for (rpc, request) in &everywhere {
            user.call(rpc, request.clone()).await.unwrap_or_else(|failure| panic!("{rpc}: {failure:?}"));
        }
        assert_eq!(user.call(LOGOUT, json!({})).await, Ok(json!({"status": "ok"})), "the header's token");
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (rpc, request) in everywhere {
            assert_fails(user.call(rpc, request).await, Code::Unauthenticated, "token");
        }
        assert_fails(user.call(CHECK, json!({})).await, Code::NotFound, "");
        assert_fails(user.call(LOGOUT, json!({})).await, Code::NotFound, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_refused_while_their_revocation_cannot_be_known() {
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let user = Lane::rest(&mesh).user("eva").await;
    user.call(ORDERS, json!({})).await.unwrap();
    mesh.kill("users").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_fails(user.call(COUNT, json!({"queue": "q"})).await, Code::Unavailable, "revoked");
    let public = Lane::rest(&mesh).call("malla.beers.v1.BeersService/ListBeers", json!({})).await;
    assert!(public.is_ok(), "what is open to anyone goes on: {public:?}");
    mesh.restart("users").await;
    let again = async {
        while user.call(COUNT, json!({"queue": "q"})).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("the keys have survived");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_tokens_are_refused() {
    everywhere(async |_, lane| {
        let token = lane.user("eva").await.token().to_owned();
        let parts: Vec<&str> = token.split('.').collect();
        let other = lane.user("other").await.token().to_owned();
        let stolen: Vec<&str> = other.split('.').collect();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"; // {"alg":"none","typ":"at+jwt"}
        let forged = [
            String::from("x"),
            format!("{none}.{}.", parts[1]),
            format!("{}.{}.{}", parts[0], stolen[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{token}{}", "A".repeat(9_000)),
        ];
        for forged in forged {
            assert_fails(lane.with_token(&forged).call(ME, json!({})).await, Code::Unauthenticated, "token");
        }
        assert_fails(lane.call(ME, json!({})).await, Code::Unauthenticated, "credentials");
        let keys = lane.call(JWKS, json!({})).await.unwrap();
        let key = &keys["keys"][0];
        assert_eq!(
            (key["kty"].as_str(), key["crv"].as_str(), key["alg"].as_str()),
            (Some("OKP"), Some("Ed25519"), Some("EdDSA"))
        );
        assert!(key.get("d").is_none(), "no private part");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_services_only_cannot_be_reached_through_the_edge() {
    everywhere(async |mesh, _| {
        let grpc = Lane::grpc(mesh).await;
        let user = grpc.user("eva").await;
        for lane in [&grpc, &user] {
            let outcome = lane.call("malla.users.v1.UsersService/GetUser", json!({"id": "x"})).await;
            assert_fails(outcome, Code::Unimplemented, "");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_one_account_is_slowed_and_hurts_no_other() {
    let mesh = Mesh::start(Topology::OneProcess).await;
    let lane = Lane::rest(&mesh);
    lane.user("victim").await;
    lane.user("bystander").await;
    let mut refused = 0;
    for guess in 0..12 {
        let credentials = json!({"username": "victim", "password": format!("Guess{guess}x")});
        match lane.call(LOGIN, credentials).await.unwrap_err().code {
            Code::Unauthenticated => {}
            Code::ResourceExhausted => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused >= 5, "{refused} of 12 refused unheard");
    lane.call(LOGIN, json!({"username": "bystander", "password": "Secret1word"})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_guess_do_not_lock_its_owner_out_of_an_account() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        Lane::rest(&mesh).user("victim").await;
        let login = async |from: [u8; 4], password: &str| {
            let client = reqwest::Client::builder().local_address(IpAddr::from(from)).build().unwrap();
            let credentials = json!({"username": "victim", "password": password});
            let request = client.post(format!("{}/v1/users:login", mesh.edge())).json(&credentials);
            // What a client says of its address is not believed.
            request.header("x-forwarded-for", "127.0.0.9").send().await.unwrap().status().as_u16()
        };
        for _ in 0..5 {
            assert_eq!(login([127, 0, 0, 2], "Guess1word").await, 401);
        }
        assert_eq!(login([127, 0, 0, 2], "Secret1word").await, 429);
        assert_eq!(login([127, 0, 0, 3], "Secret1word").await, 200);
    }
}
