//! Against real servers: each is `grpc.health.v1.Health`, where a call for the service "call" stands for any call, and
//! one for "" is a health check.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::RwLock;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::*;

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Serving,
    NotServing,
    Failing,
    /// Answers health checks, and calls after a second and a half.
    Slow,
}

#[derive(Clone)]
struct Replica {
    mood: Arc<RwLock<Mood>>,
    calls: Arc<AtomicU64>,
}

#[tonic::async_trait]
impl HealthService for Replica {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        let mood = *self.mood.read().unwrap();
        let status = if mood == Mood::NotServing { ServingStatus::NotServing } else { ServingStatus::Serving };
        if request.get_ref().service == "call" {
            self.calls.fetch_add(1, Ordering::Relaxed);
            match mood {
                Mood::Failing => return Err(Status::unavailable("failing")),
                Mood::Slow => tokio::time::sleep(Duration::from_millis(1_500)).await,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        Ok(tonic::Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: tonic::Request<HealthCheckRequest>) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let (open, answers) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move { open.closed().await });
        Ok(tonic::Response::new(ReceiverStream::new(answers)))
    }
}

/// An address that stays ours whether anybody listens there or not, in which case it refuses connections.
struct Place {
    address: SocketAddr,
    _kept: TcpSocket,
}

impl Place {
    fn new() -> Self {
        let socket = Self::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self { address: socket.local_addr().unwrap(), _kept: socket }
    }

    fn bind(address: SocketAddr) -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        // Of sockets that share an address only those that listen are connected to.
        socket.set_reuseport(true).unwrap();
        socket.bind(address).unwrap();
        socket
    }

    fn listen(&self) -> TcpListener {
        Self::bind(self.address).listen(1_024).unwrap()
    }
}

struct Server {
    place: Place,
    replica: Replica,
    stop: DropGuard,
    running: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        Self::at(Place::new())
    }

    fn at(place: Place) -> Self {
        let replica = Replica { mood: Arc::new(RwLock::new(Mood::Serving)), calls: Arc::default() };
        let stop = CancellationToken::new();
        let server = tonic::transport::Server::builder().add_service(HealthServer::new(replica.clone()));
        let incoming = TcpListenerStream::new(place.listen());
        let serving = server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
        let running = tokio::spawn(async { serving.await.unwrap() });
        Self { place, replica, stop: stop.drop_guard(), running }
    }

    /// Ends in good order: its address, with nobody there.
    async fn end(self) -> Place {
        drop(self.stop);
        tokio::time::timeout(Duration::from_secs(10), self.running).await.expect("it ends").unwrap();
        self.place
    }

    fn address(&self) -> SocketAddr {
        self.place.address
    }

    fn mood(&self, mood: Mood) {
        *self.replica.mood.write().unwrap() = mood;
    }

    fn calls(&self) -> u64 {
        self.replica.calls.load(Ordering::Relaxed)
    }
}

fn balancer(addresses: impl IntoIterator<Item = SocketAddr>) -> Balancer {
    let texts: Vec<String> = addresses.into_iter().map(|address| format!("http://{address}")).collect();
    Balancer::new("test", &texts.join(",").parse().unwrap(), None)
}

/// A call with a deadline, as its code and the error on the way, if there was one.
async fn call(balancer: &Balancer, timeout: Duration) -> (Code, Option<&'static str>) {
    let failed = Mutex::new(None);
    let send = tower::service_fn(async |request: Request<Body>| {
        balancer.call(request, Some(timeout)).await.map_err(|error| {
            *failed.lock().unwrap() = Some(match error {
                Error::Unreached(_) => "unreached",
                Error::Late => "late",
                Error::Lost(_) => "lost",
                Error::Reset(..) => "reset",
            });
            Status::unavailable(error.to_string())
        })
    });
    let answer = HealthClient::new(send).check(HealthCheckRequest { service: "call".into() }).await;
    (answer.map_or_else(|status| status.code(), |_| Code::Ok), failed.into_inner().unwrap())
}

async fn calls(balancer: &Balancer, count: usize) -> HashMap<(Code, Option<&'static str>), usize> {
    let mut outcomes = HashMap::new();
    for _ in 0..count {
        *outcomes.entry(call(balancer, Duration::from_secs(5)).await).or_default() += 1;
    }
    outcomes
}

const WELL: (Code, Option<&str>) = (Code::Ok, None);

/// Waits until a state's count is as wanted.
async fn becomes(balancer: &Balancer, state: &str, wanted: u64) {
    let waiting = async {
        while !balancer.0.table().by_state(Instant::now()).contains(&(state_name(state), wanted)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), waiting).await.unwrap_or_else(|_| panic!("never {wanted} {state}"));
}

fn state_name(state: &str) -> &'static str {
    ["usable", "ejected", "not_serving", "unreachable", "silent"].into_iter().find(|name| *name == state).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spread_and_an_endpoint_that_is_down_costs_none() {
    let servers = [Server::start(), Server::start()];
    let nobody = Place::new();
    let balancer = balancer(servers.iter().map(Server::address).chain([nobody.address]));
    for _ in 0..20 {
        let outcomes = join_all((0..15).map(|_| call(&balancer, Duration::from_secs(5)))).await;
        assert!(outcomes.iter().all(|outcome| *outcome == WELL), "{outcomes:?}");
    }
    assert!(servers.iter().all(|server| server.calls() > 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_keeps_no_call_away() {
    let servers = [Server::start(), Server::start()];
    let balancer = balancer(servers.iter().map(Server::address));
    let send = tower::service_fn(async |request: Request<Body>| balancer.call(request, None).await);
    let stream = HealthClient::new(send).watch(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(calls(&balancer, 200).await, HashMap::from([(WELL, 200)]));
    let each = servers.each_ref().map(Server::calls);
    assert!(each.iter().all(|calls| *calls > 50), "{each:?}");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_there_calls_fail_at_once_and_succeed_once_somebody_is() {
    let nobody = Place::new();
    let balancer = balancer([nobody.address]);
    let began = Instant::now();
    assert_eq!(calls(&balancer, 20).await, HashMap::from([((Code::Unavailable, Some("unreached")), 20)]));
    assert!(began.elapsed() < Duration::from_secs(5), "none waits until its time is over");
    let _server = Server::at(nobody);
    assert_eq!(call(&balancer, Duration::from_secs(5)).await, WELL);
}

/// A listener whose backlog takes connections but that nobody serves is what a stopped process looks like.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_endpoint_is_left_out_and_calls_at_it_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start();
    let balancer = balancer([silent.local_addr().unwrap(), server.address()]);
    let began = Instant::now();
    let outcomes = join_all((0..20).map(|_| call(&balancer, Duration::from_secs(10)))).await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(outcomes.contains(&(Code::Unavailable, Some("lost"))), "{outcomes:?}");
    becomes(&balancer, "silent", 1).await;
    assert_eq!(calls(&balancer, 50).await, HashMap::from([(WELL, 50)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_serve_gets_no_new_calls() {
    let servers = [Server::start(), Server::start()];
    let balancer = balancer(servers.each_ref().map(|server| server.address()));
    servers[0].mood(Mood::NotServing);
    becomes(&balancer, "not_serving", 1).await;
    let before = servers[0].calls();
    assert_eq!(calls(&balancer, 50).await, HashMap::from([(WELL, 50)]));
    assert_eq!(servers[0].calls(), before);
    servers[1].mood(Mood::NotServing);
    becomes(&balancer, "not_serving", 2).await;
    assert_eq!(call(&balancer, Duration::from_secs(5)).await, WELL, "better than nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_endpoint_is_ejected_and_a_late_one_too() {
    for (mood, timeout) in [(Mood::Failing, Duration::from_secs(5)), (Mood::Slow, Duration::from_millis(1_100))] {
        let servers = [Server::start(), Server::start()];
        let balancer = balancer(servers.each_ref().map(|server| server.address()));
        servers[0].mood(mood);
        let outcomes = join_all((0..40).map(|_| call(&balancer, timeout))).await;
        assert!(outcomes.iter().any(|outcome| *outcome != WELL));
        becomes(&balancer, "ejected", 1).await;
        assert_eq!(calls(&balancer, 50).await, HashMap::from([(WELL, 50)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_good_order_loses_no_call() {
    let mut servers = [Server::start(), Server::start()].map(Some);
    let balancer = balancer(servers.iter().flatten().map(Server::address));
    let running = CancellationToken::new();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (balancer, running) = (balancer.clone(), running.clone());
            tokio::spawn(async move {
                let mut outcomes = HashMap::new();
                while !running.is_cancelled() {
                    *outcomes.entry(call(&balancer, Duration::from_secs(5)).await).or_insert(0) += 1;
                }
                outcomes
            })
        })
        .collect();
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let server = &mut servers[round % 2];
        let place = server.take().expect("it runs").end().await;
        *server = Some(Server::at(place));
        becomes(&balancer, "usable", 2).await;
    }
    running.cancel();
    for client in clients {
        let outcomes = client.await.unwrap();
        // Once in a long while a call meets both endpoints between two connections: it was not sent, and its caller knows.
        let unsent = outcomes.get(&(Code::Unavailable, Some("unreached"))).copied().unwrap_or(0);
        let known = outcomes.values().sum::<i32>() == outcomes[&WELL] + unsent;
        assert!(known && unsent <= 1 && outcomes[&WELL] > 10, "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_looked_up() {
    let server = Server::start();
    let balancer =
        Balancer::new("test", &format!("http://localhost:{}", server.address().port()).parse().unwrap(), None);
    assert_eq!(calls(&balancer, 20).await, HashMap::from([(WELL, 20)]));
    let balancer = Balancer::new("test", &"http://nobody.invalid:1".parse().unwrap(), None);
    assert_eq!(call(&balancer, Duration::from_secs(5)).await, (Code::Unavailable, Some("unreached")));
}

/// A server of HTTP/2 alone, which knows no health checks and does with other calls as told.
async fn bare(does: impl Fn(&str, SendResponse<Bytes>) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let does = does.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut answer))) = connection.accept().await {
                    match request.uri().path() {
                        "/grpc.health.v1.Health/Check" => {
                            let head = Response::builder().header("grpc-status", "12").body(()).unwrap();
                            answer.send_response(head, true).unwrap();
                        }
                        path => does(path, answer),
                    }
                }
            });
        }
    });
    address
}

/// Calls such a server: what came of metadata, leading and trailing.
async fn metadata(balancer: &Balancer, path: &str) -> Result<HeaderMap, Status> {
    let request = Request::post(path).body(Body::empty()).unwrap();
    let answer = balancer.call(request, Some(Duration::from_secs(5))).await;
    let (head, mut body) = answer.map_err(|error| error.into_status("test"))?.into_parts();
    let mut metadata = head.headers;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        metadata.extend(frame?.into_trailers().unwrap_or_default());
    }
    Ok(metadata)
}

/// RFC 9113 8.7: a stream refused with REFUSED_STREAM was not processed. Another that is reset may have been, and says
/// nothing of its endpoint: a client can have all its calls reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_its_calls_alone() {
    for (reason, path, code, unreached) in [
        (Reason::REFUSED_STREAM, "/at-once", Code::Unavailable, true),
        (Reason::INTERNAL_ERROR, "/at-once", Code::Internal, false),
        (Reason::INTERNAL_ERROR, "/begun", Code::Internal, false),
        (Reason::CANCEL, "/at-once", Code::Cancelled, false),
        (Reason::CANCEL, "/begun", Code::Cancelled, false),
        (Reason::ENHANCE_YOUR_CALM, "/at-once", Code::ResourceExhausted, false),
    ] {
        let reset = move |path: &str, mut answer: SendResponse<Bytes>| {
            if path == "/at-once" {
                return answer.send_reset(reason);
            }
            let mut body = answer.send_response(Response::new(()), false).unwrap();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                body.send_reset(reason);
            });
        };
        let balancer = balancer([bare(reset).await, bare(reset).await]);
        for _ in 0..30 {
            let status = metadata(&balancer, path).await.unwrap_err();
            let cause = std::error::Error::source(&status).and_then(|cause| cause.downcast_ref::<Error>());
            assert_eq!((status.code(), matches!(cause, Some(Error::Unreached(_)))), (code, unreached), "{status:?}");
        }
        becomes(&balancer, "usable", 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_metadata_arrives_and_what_is_too_large_ends_no_other_call() {
    for (path, bytes, expected) in [
        ("/trailers", 60_000, Ok(60_000)),
        ("/trailers", 1_000_000, Ok(1_000_000)),
        ("/trailers", 1_100_000, Ok(0)),
        ("/headers", 60_000, Ok(60_000)),
        ("/headers", 1_000_000, Ok(1_000_000)),
        ("/headers", 1_100_000, Err(Code::Internal)),
    ] {
        let server = bare(move |path, mut answer| {
            let mut status = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("5"))]);
            if path != "/slow" {
                let details = HeaderValue::from_bytes(&vec![b'a'; bytes]).unwrap();
                status.insert(Status::GRPC_STATUS_DETAILS, details);
            }
            let mut head = Response::new(());
            if path == "/headers" {
                *head.headers_mut() = status;
                answer.send_response(head, true).unwrap();
                return;
            }
            let mut body = answer.send_response(head, false).unwrap();
            let pause = Duration::from_millis(if path == "/slow" { 300 } else { 0 });
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                body.send_trailers(status).unwrap();
            });
        });
        let balancer = balancer([server.await]);
        let read = |told: Result<HeaderMap, Status>| {
            let details = |told: &HeaderMap| told.get(Status::GRPC_STATUS_DETAILS).map_or(0, HeaderValue::len);
            let told = told.map(|told| (told[Status::GRPC_STATUS].to_str().unwrap().to_owned(), details(&told)));
            told.map_err(|status| status.code())
        };
        let (slow, told) = tokio::join!(metadata(&balancer, "/slow"), metadata(&balancer, path));
        assert_eq!(read(told), expected.map(|details| ("5".to_owned(), details)), "{path} {bytes}");
        assert_eq!(read(slow), Ok(("5".to_owned(), 0)), "{path} {bytes}");
    }
}
