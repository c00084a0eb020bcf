//! A deadline and a client's leaving go with a call, from the client through the edge and a service to the last one.

use std::time::Duration;

use malla_contracts::malla::orders::v1::AddBeerRequest;
use malla_contracts::malla::orders::v1::orders_service_client::OrdersServiceClient;
use malla_servers::soak::{report, rounds};
use serde_json::json;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::hop::{Hop, Mood, Seen};
use crate::support::{Lane, Mesh, Topology};

/// client -> edge -> hop -> orders -> hop -> beers.
struct Chain {
    mesh: Mesh,
    orders: Hop,
    beers: Hop,
    user: Lane,
    client: OrdersServiceClient<Channel>,
}

impl Chain {
    async fn start() -> Self {
        let mut mesh = Mesh::start(Topology::ProcessPerService).await;
        let beers = Hop::start(mesh.address("beers")).await;
        mesh.reroute("beers", beers.address());
        mesh.terminate("orders").await;
        mesh.restart("orders").await;
        let orders = Hop::start(mesh.address("orders")).await;
        mesh.reroute("orders", orders.address());
        mesh.terminate("edge").await;
        mesh.restart("edge").await;
        mesh.healthy().await;
        let user = Lane::rest(&mesh).user("ana").await;
        let channel = Channel::from_shared(mesh.edge().to_owned()).unwrap().connect().await.unwrap();
        Self { mesh, orders, beers, user, client: OrdersServiceClient::new(channel) }
    }

    async fn add(&self, timeout: Duration) -> Result<(), Code> {
        let mut request = Request::new(AddBeerRequest { sku: "123456".into(), quantity: 1 });
        request.set_timeout(timeout);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.user.token()).parse().unwrap());
        self.client.clone().add_beer(request).await.map(|_| ()).map_err(|status| status.code())
    }

    /// The next call to beers after so many, once it is there.
    async fn at_beers(&self, before: usize, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let looking = async {
            loop {
                if let Some(seen) = self.beers.seen().get(before).copied().filter(&wanted) {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looking).await.expect("it comes to the last hop")
    }

    /// How long after a client has left a call is given up at the last hop.
    async fn left(&self, call: impl Future<Output = ()> + Send + 'static) -> Duration {
        let before = self.beers.seen().len();
        let call = tokio::spawn(call);
        self.at_beers(before, |_| true).await;
        let left = Instant::now();
        call.abort();
        self.at_beers(before, |seen| seen.ended.is_some()).await.ended.unwrap() - left
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_17_a_deadline_and_a_clients_leaving_reach_the_last_hop() {
    const TIMEOUT: Duration = Duration::from_millis(1_500);
    // Ten times what it takes: the machine may be busy.
    const SOON: Duration = Duration::from_secs(1);
    let chain = Chain::start().await;
    let mut rounds = rounds(5);
    let (mut late, mut latest_leaving) = (Duration::ZERO, Duration::ZERO);
    for _ in rounds.by_ref() {
        chain.beers.set(Mood::Well);
        let (orders, beers) = (chain.orders.seen().len(), chain.beers.seen().len());
        assert_eq!(chain.add(Duration::from_secs(5)).await, Ok(()));
        let timeouts = [chain.orders.seen()[orders].timeout, chain.beers.seen()[beers].timeout].map(Option::unwrap);
        assert!(Duration::from_secs(5) > timeouts[0] && timeouts[0] > timeouts[1], "{timeouts:?}");

        chain.beers.set(Mood::Hanging);
        let before = chain.beers.seen().len();
        let deadline = Instant::now() + TIMEOUT;
        // tonic's channel looks at the clock too, and says CANCELLED when it is the first.
        assert!(matches!(chain.add(TIMEOUT).await, Err(Code::DeadlineExceeded | Code::Cancelled)));
        let ended = chain.at_beers(before, |seen| seen.ended.is_some()).await.ended.unwrap();
        late = late.max(ended.saturating_duration_since(deadline));
        let seen = [chain.orders.seen(), chain.beers.seen()].concat();
        assert!(seen.iter().all(|seen| seen.began < deadline), "work was begun after the deadline");

        let user = (chain.mesh.edge().to_owned(), chain.user.token().to_owned());
        let mut client = chain.client.clone();
        let over_grpc = chain.left({
            let mut request = Request::new(AddBeerRequest { sku: "123456".into(), quantity: 1 });
            request.metadata_mut().insert("authorization", format!("Bearer {}", user.1).parse().unwrap());
            async move { drop(client.add_beer(request).await) }
        });
        latest_leaving = latest_leaving.max(over_grpc.await);
        let over_rest = chain.left(async move {
            let request = reqwest::Client::new().post(format!("{}/v1/orders/current/beers", user.0));
            let body = json!({"sku": "123456", "quantity": 1});
            drop(request.bearer_auth(user.1).json(&body).send().await);
        });
        latest_leaving = latest_leaving.max(over_rest.await);
    }
    report(
        17,
        "the last of three hops hangs",
        format_args!(
            "given up {late:.1?} after the deadline at most, {latest_leaving:.1?} after the client has left; {} rounds",
            rounds.made()
        ),
    );
    assert!(late < SOON && latest_leaving < SOON, "{late:?} {latest_leaving:?}");
}
