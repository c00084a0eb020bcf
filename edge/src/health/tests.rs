use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use malla_runtime::link::Link;
use tonic::service::Routes;
use tonic::{Request, Response};
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};

use super::*;
use crate::fixture;

/// Says once that it serves, and hangs.
struct Hung;

#[tonic::async_trait]
impl HealthService for Hung {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        std::future::pending().await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let serving = HealthCheckResponse { status: State::Serving.into() };
        Ok(Response::new(stream::iter([Ok(serving)]).chain(stream::pending()).boxed()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_is_noticed() {
    let link = Link::alone("hung", Routes::new(HealthServer::new(Hung)));
    let health = Health::new(&[Backend { link, ..fixture::backend(fixture::descriptors("echo.proto")) }]);
    let following = tokio::spawn(health.clone().follow(Shutdown::default()));
    let until = async |state| {
        while health.overall() != state {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until(State::Serving).await;
    let noticed = tokio::time::timeout(PROBE_INTERVAL + PROBE_TIMEOUT * 2, until(State::NotServing)).await;
    assert!(noticed.is_ok());
    following.abort();
}

fn two(foreign: bool) -> Health {
    let backend = |name: &str| Backend {
        name: name.into(),
        services: Vec::new(),
        foreign,
        ..fixture::backend(fixture::descriptors("echo.proto"))
    };
    Health::new(&[backend("a"), backend("b")])
}

#[test]
fn strangers_that_are_down_do_not_take_the_others_away() {
    let health = two(true);
    let up = |name: &str| health.says(name, Ok(State::Serving));
    let trouble = |name: &str, kind: &'static str| health.trouble(name, Some(kind));
    let known_up = |name: &str| {
        health.serves(name, &[name.to_uppercase()]);
        up(name);
    };
    let steps: [(&str, &dyn Fn(), State); 8] = [
        ("a says that it serves, and not yet what", &|| up("a"), State::NotServing),
        ("it is known what a serves; b was not asked yet", &|| health.serves("a", &["A".into()]), State::NotServing),
        ("b cannot be asked", &|| trouble("b", "gone"), State::Serving),
        ("b serves", &|| known_up("b"), State::Serving),
        ("a is lost", &|| health.says("a", Err("refused".into())), State::Serving),
        ("b drains", &|| health.says("b", Ok(State::NotServing)), State::NotServing),
        ("a is back", &|| up("a"), State::Serving),
        ("a cannot be read any more and goes on", &|| trouble("a", "odd"), State::Serving),
    ];
    for (what, step, expected) in steps {
        step();
        assert_eq!(health.overall(), expected, "{what}");
    }
    assert_eq!(health.registry.get("B"), Some(State::NotServing), "each for itself");
    health.says("a", Err("refused".into()));
    let troubles: Vec<_> = health.conditions().into_iter().map(|condition| condition.trouble).collect();
    assert_eq!(troubles, [Some("refused".into()), Some("gone".into())], "why it is lost says more");
}

#[test]
fn the_mesh_serves_as_a_whole_or_not() {
    let health = two(false);
    for name in ["a", "b"] {
        assert_eq!(health.overall(), State::NotServing);
        health.serves(name, &[name.to_uppercase()]);
        health.says(name, Ok(State::Serving));
    }
    assert_eq!(health.overall(), State::Serving);
    health.says("b", Err("refused".into()));
    assert_eq!(health.overall(), State::NotServing);
    let Condition { state, trouble, .. } = health.conditions().remove(1);
    assert_eq!((state, trouble), (State::NotServing, Some("refused".into())));
}

/// They are everybody's, at no cost: they must not queue for what the backends' states are kept under.
#[tokio::test]
async fn what_is_not_there_waits_for_nobody() {
    let edge = fixture::edge(fixture::config());
    let health = edge.health();
    let _held = health.known();
    let (answered, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let request = http::Request::get("/nowhere").header("host", "test").body(tonic::body::Body::empty()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = answered.send(runtime.block_on(fixture::send(&edge, request)).status().as_u16());
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(5)), Ok(404));
}
