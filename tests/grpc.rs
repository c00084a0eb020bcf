//! gRPC on the edge's port and on services' own: reflection, health, deadlines, statuses.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use malla_contracts::malla::availability::v1::GetCityRequest;
use malla_contracts::malla::availability::v1::availability_service_client::AvailabilityServiceClient;
use malla_contracts::malla::pricing::v1::CreateQuoteRequest;
use malla_contracts::malla::pricing::v1::pricing_service_client::PricingServiceClient;
use malla_contracts::malla::queue::v1::ReceiveRequest;
use malla_contracts::malla::queue::v1::queue_service_client::QueueServiceClient;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::{Mesh, Topology};
use crate::weather;

async fn channel(address: &str) -> Channel {
    Channel::from_shared(address.to_owned()).unwrap().connect().await.unwrap()
}

/// Asks a server's reflection one thing.
async fn reflect(address: &str, ask: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let asked = futures_util::stream::once(async move { request });
    let mut answers =
        ServerReflectionClient::new(channel(address).await).server_reflection_info(asked).await.unwrap().into_inner();
    let ServerReflectionResponse { message_response, .. } = answers.next().await.unwrap().unwrap();
    message_response.unwrap()
}

async fn services(address: &str) -> Vec<String> {
    let MessageResponse::ListServicesResponse(list) =
        reflect(address, MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list was asked for")
    };
    list.service.into_iter().map(|service| service.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_shows_all_services_at_the_edge_and_its_own_at_each_service() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        let all = services(mesh.edge()).await;
        let capabilities =
            ["availability", "pricing", "comments", "queue", "files", "search", "users", "beers", "orders"];
        for capability in capabilities {
            assert!(
                all.iter().any(|name| name.starts_with(&format!("malla.{capability}.v1."))),
                "{capability} in {all:?}"
            );
        }
        for name in ["google.longrunning.Operations", "grpc.health.v1.Health"] {
            assert!(all.iter().any(|service| service == name), "{name} in {all:?}");
        }
        let symbol = MessageRequest::FileContainingSymbol("malla.orders.v1.OrdersService".into());
        assert!(matches!(reflect(mesh.edge(), symbol).await, MessageResponse::FileDescriptorResponse(_)));
        if topology == Topology::ProcessPerService {
            let own = services(mesh.address("beers")).await;
            assert!(own.contains(&"malla.beers.v1.BeersService".to_owned()), "{own:?}");
            assert!(!own.iter().any(|name| name.contains("orders")), "{own:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_for_every_backend_by_its_name_and_follows_it() {
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let mut client = HealthClient::new(channel(mesh.edge()).await);
    let mut watch = {
        let request = HealthCheckRequest { service: "malla.beers.v1.BeersService".into() };
        client.watch(request).await.unwrap().into_inner()
    };
    let mut next = async || {
        let state = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("a state in time");
        state.unwrap().unwrap().status()
    };
    assert_eq!(next().await, ServingStatus::Serving);
    for name in ["", "beers", "malla.orders.v1.OrdersService"] {
        let answer = client.check(HealthCheckRequest { service: name.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name:?}");
    }
    let unknown = client.check(HealthCheckRequest { service: "nobody".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    mesh.kill("beers").await;
    assert_eq!(next().await, ServingStatus::NotServing);
    let page = reqwest::get(format!("{}/health/beers", mesh.edge())).await.unwrap();
    assert_eq!(page.status(), 503);
    let page = reqwest::get(format!("{}/health/orders", mesh.edge())).await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(reqwest::get(format!("{}/health", mesh.edge())).await.unwrap().status(), 503);
    assert_eq!(reqwest::get(format!("{}/health/nobody", mesh.edge())).await.unwrap().status(), 404);
    assert_eq!(reqwest::get(format!("{}/v1/beers", mesh.edge())).await.unwrap().status(), 503);
    mesh.restart("beers").await;
    assert_eq!(next().await, ServingStatus::Serving);
}

/// Asks for a quote, and asserts that the server's own deadline passed and was kept. (A `grpc-timeout` would make
/// tonic's client give up by itself.)
async fn assert_quote_expires(address: &str) {
    let request = CreateQuoteRequest { sku: "AZ00001".into(), country: "ni".into(), city: "Leon".into() };
    let began = Instant::now();
    let status = PricingServiceClient::new(channel(address).await).create_quote(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_is_deadline_exceeded_on_every_way() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let provider = weather::Provider::start().await;
        provider.hang();
        let settings = [
            ("PRICING__WEATHER__BASE_URL", provider.base()),
            ("PRICING__WEATHER__TIMEOUT_MS", "5000"),
            ("SERVER__DEADLINE_MS", "1500"),
        ];
        let mesh = Mesh::start_with(topology, &settings).await;
        assert_quote_expires(mesh.edge()).await;
        if topology == Topology::ProcessPerService {
            assert_quote_expires(mesh.address("pricing")).await;
        }
        let quote = reqwest::Client::new().post(format!("{}/v1/quotes", mesh.edge())).header("prefer", "wait=1");
        let quote = quote.json(&serde_json::json!({"sku": "AZ00001", "country": "ni", "city": "Leon"}));
        assert_eq!(quote.send().await.unwrap().status(), 504);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_is_504_not_503() {
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    mesh.signal("beers", "STOP");
    let began = Instant::now();
    let answer =
        reqwest::Client::new().get(format!("{}/v1/beers", mesh.edge())).header("prefer", "wait=1").send().await;
    assert_eq!(answer.unwrap().status(), 504);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    mesh.signal("beers", "CONT");
    assert_eq!(reqwest::get(format!("{}/v1/beers", mesh.edge())).await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_alone_guards_its_methods_itself() {
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    let mut queue = QueueServiceClient::new(channel(mesh.address("queue")).await);
    assert_eq!(queue.receive(ReceiveRequest::default()).await.unwrap_err().code(), Code::Unauthenticated);
    let mut availability = AvailabilityServiceClient::new(channel(mesh.address("availability")).await);
    let city = availability.get_city(GetCityRequest { country: "ni".into(), city: "leon".into() }).await.unwrap();
    assert!(city.into_inner().active);
}
