use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use malla_runtime::auth::{self, Authenticator};
use malla_runtime::guard::{self, Guard};
use malla_runtime::policy::Policies;
use malla_runtime::shutdown::Shutdown;
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::{ServerReflection, ServerReflectionServer};
use tonic_reflection::pb::v1::{
    ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
    ServiceResponse,
};
use tonic_reflection::server::Builder;

use super::*;
use crate::config::{self, Config};
use crate::fixture::{self, SERVICE, descriptors, echo, send};
use crate::{About, Reflection};

mod edition;
mod tls;

/// What a server says of itself, as long as the test wants it to.
#[derive(Clone, Debug, Default)]
struct Says {
    services: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    /// It is asked and does not answer.
    silent: bool,
}

impl Says {
    /// The whole truth, but for the files that everybody has.
    fn all(set: Bytes) -> Self {
        let pool = DescriptorPool::decode(set).unwrap();
        let files = pool.files().map(|file| (file.name().to_owned(), file.encode_to_vec()));
        let files = files.filter(|(name, _)| !name.starts_with("google/protobuf/")).collect();
        Self { services: vec![SERVICE.into()], files, silent: false }
    }

    fn answer(&self, asked: MessageRequest) -> MessageResponse {
        let name = match asked {
            MessageRequest::FileByFilename(name) => name,
            MessageRequest::FileContainingSymbol(_) => "echo.proto".to_owned(),
            _ => {
                let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
                return MessageResponse::ListServicesResponse(ListServiceResponse { service });
            }
        };
        match self.files.get(&name) {
            // One at a time: what it imports has to be asked for.
            Some(file) => MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto: vec![file.clone()],
            }),
            None => MessageResponse::ErrorResponse(ErrorResponse {
                error_code: Code::NotFound.into(),
                error_message: "not here".into(),
            }),
        }
    }
}

#[derive(Clone, Debug)]
struct Changing(Arc<Mutex<Says>>);

#[tonic::async_trait]
impl ServerReflection for Changing {
    type ServerReflectionInfoStream = Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

    async fn server_reflection_info(
        &self,
        request: tonic::Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<tonic::Response<Self::ServerReflectionInfoStream>, Status> {
        let says = self.0.lock().unwrap().clone();
        if says.silent {
            return Ok(tonic::Response::new(stream::pending().boxed()));
        }
        let answers = request.into_inner().map(move |asked| {
            let answer = says.answer(asked?.message_request.unwrap());
            Ok(ServerReflectionResponse { message_response: Some(answer), ..ServerReflectionResponse::default() })
        });
        Ok(tonic::Response::new(answers.boxed()))
    }
}

fn upstream(link: Link) -> Upstream {
    Upstream { name: "echo".into(), services: Vec::new(), descriptors: Vec::new(), link }
}

fn follower(upstream: Upstream) -> Follower {
    let reflection = Reflection { timeout_ms: 300, ..Reflection::default() };
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let about = About { name: "test".into(), version: "1".into() };
    let config = Config { reflection, ..fixture::config() };
    let edge = Edge::new(config, &[upstream.unknown()], authenticator, about, None).unwrap();
    Follower::new(edge, upstream)
}

/// An upstream in this process, and what it says of itself.
fn changing(set: Bytes) -> (Follower, Arc<Mutex<Says>>) {
    let says = Arc::new(Mutex::new(Says::all(set)));
    let routes = Routes::new(echo()).add_service(ServerReflectionServer::new(Changing(says.clone())));
    (follower(upstream(Link::alone("echo", routes))), says)
}

/// An upstream behind a socket.
async fn behind_a_socket(routes: Routes) -> Upstream {
    upstream(Link::remote("echo", &format!("http://{}", listen(routes).await).parse().unwrap()))
}

async fn listen(routes: Routes) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let guard = Guard::new(routes, Policies::default(), authenticator, &guard::Config::default());
    tokio::spawn(async move {
        malla_runtime::server::serve(listener, guard, &guard::Config::default(), Shutdown::default()).await
    });
    address
}

fn get(path: &str) -> Request<Body> {
    Request::builder()
        .uri(path)
        .header("host", "test")
        .header("authorization", "Bearer mine")
        .body(Body::empty())
        .unwrap()
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

async fn status(edge: &Edge, path: &str) -> u16 {
    send(edge, get(path)).await.status().as_u16()
}

/// The same descriptors with another path, as long as the first.
fn renamed(set: &Bytes, from: &str, to: &str) -> Bytes {
    assert_eq!(from.len(), to.len());
    let mut set = set.to_vec();
    let places: Vec<usize> = (0..set.len() - from.len()).filter(|at| set[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from} is there");
    for at in places {
        set[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    set.into()
}

#[tokio::test]
async fn both_versions_of_reflection_are_read_and_calls_go_through() {
    let set = descriptors("echo.proto");
    let builder = || Builder::configure().register_encoded_file_descriptor_set(&set).with_service_name(SERVICE);
    let routes = [
        Routes::new(echo()).add_service(builder().build_v1().unwrap()),
        Routes::new(echo()).add_service(builder().build_v1alpha().unwrap()),
    ];
    for routes in routes {
        let mut follower = follower(behind_a_socket(routes).await);
        follower.read().await.unwrap();
        let edge = &follower.edge;
        let answer = send(edge, get("/v1/echo/a")).await;
        assert_eq!(answer.headers()["x-seen-authorization"], "Bearer mine", "credentials are the upstream's affair");
        assert_eq!(json(answer).await, serde_json::json!({"id": "a"}));
        assert_eq!(status(edge, "/v1/guarded").await, 200, "who may call is the upstream's affair");
        assert_eq!(status(edge, "/v1/internal").await, 404, "what is for services only has no route");
        assert_eq!(status(edge, "/nowhere").await, 404);
    }
}

#[tokio::test]
async fn until_it_is_known_what_is_served_everything_is_503_with_the_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut follower = follower(upstream(Link::remote("echo", &format!("http://{gone}").parse().unwrap())));
    let reason = "it is not known yet what echo serves: ";
    let message = |answer: Value| answer["message"].as_str().unwrap().to_owned();
    let before = message(json(send(&follower.edge, get("/v1/echo/a")).await).await);
    assert_eq!(before, format!("{reason}it is being asked"));
    follower.read().await.unwrap_err();
    let answer = send(&follower.edge, get("/v1/echo/a")).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));
    let message = message(json(answer).await);
    assert_eq!(message, format!("{reason}server reflection: it cannot be reached"));
    let grpc = Request::builder().method("POST").uri("/test.v1.EchoService/Get").version(http::Version::HTTP_2);
    let grpc = grpc.header("content-type", "application/grpc").body(Body::empty()).unwrap();
    let grpc = send(&follower.edge, grpc).await;
    assert_eq!(Status::from_header_map(grpc.headers()).unwrap().code(), Code::Unavailable);
    let health = send(&follower.edge, get("/health")).await;
    assert_eq!(health.status(), 503);
    assert!(json(health).await["troubles"]["echo"].as_str().unwrap().contains("cannot be reached"));
}

#[tokio::test]
async fn what_is_known_of_one_upstream_is_served_while_another_is_waited_for() {
    let set = descriptors("echo.proto");
    let reflection = Builder::configure().register_encoded_file_descriptor_set(&set).with_service_name(SERVICE);
    let routes = Routes::new(echo()).add_service(reflection.build_v1().unwrap());
    let known = upstream(Link::alone("echo", routes));
    let nobody = Link::remote("later", &"http://127.0.0.1:1".parse().unwrap());
    let unknown = Upstream { name: "later".into(), ..upstream(nobody) };
    let edge = Edge::builder().backend(known.unknown()).backend(unknown.unknown()).build().unwrap();
    Follower::new(edge.clone(), known).read().await.unwrap();
    assert_eq!(status(&edge, "/v1/echo/a").await, 200);
    let answer = json(send(&edge, get("/v1/elsewhere")).await).await;
    assert!(answer["message"].as_str().unwrap().contains("what later serves"), "it may be the other's: {answer}");
    assert_eq!(status(&edge, "/v1/elsewhere").await, 503);
}

#[tokio::test]
async fn settings_for_what_nobody_serves_take_no_upstream_away() {
    let stale = config::Route { selector: "test.v1.GoneService.*".into(), ..config::Route::default() };
    let config = Config { routes: vec![stale], ..fixture::config() };
    let mut upstreams = Vec::new();
    for (file, service) in [("echo.proto", SERVICE), ("broken.proto", "test.v1.FineService")] {
        let set = descriptors(file);
        let reflection = Builder::configure().register_encoded_file_descriptor_set(&set).with_service_name(service);
        let routes = Routes::new(echo()).add_service(reflection.build_v1().unwrap());
        upstreams.push(Upstream { name: service.into(), ..behind_a_socket(routes).await });
    }
    let builder = upstreams.iter().map(Upstream::unknown).fold(Edge::builder().config(config), crate::Builder::backend);
    let edge = builder.build().unwrap();
    for upstream in upstreams {
        Follower::new(edge.clone(), upstream).read().await.unwrap();
    }
    assert_eq!(status(&edge, "/v1/echo/a").await, 200);
    assert!(edge.routes().any(|row| row.path == "/active"), "the upstream that answers last");
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_last_good_table() {
    let (mut follower, says) = changing(descriptors("echo.proto"));
    let following = tokio::spawn(follower.edge.health().follow(Shutdown::default()));
    follower.read().await.unwrap();
    let good = says.lock().unwrap().clone();
    let with = |name: &str, file: Option<&[u8]>| {
        let mut says = good.clone();
        match file {
            Some(file) => says.files.insert(name.to_owned(), file.to_vec()),
            None => says.files.remove(name),
        };
        says
    };
    let nothing = "it names no service that could be served";
    for (bad, said, shown) in [
        (
            Says { silent: true, ..good.clone() },
            "no answer within 300ms",
            "server reflection: it does not answer in time",
        ),
        (Says { services: Vec::new(), ..good.clone() }, nothing, nothing),
        (with("echo.proto", None), nothing, nothing),
        (with("echo.proto", Some(b"\xff")), "its descriptors cannot be read: ", "its descriptors cannot be read"),
        (
            with("google/api/http.proto", None),
            "google/api/http.proto is missing, which google/api/annotations.proto imports",
            "its descriptors lack an import",
        ),
    ] {
        *says.lock().unwrap() = bad;
        let error = follower.read().await.unwrap_err().to_string();
        assert!(error.contains(said), "{said:?} in {error:?}");
        assert_eq!(status(&follower.edge, "/v1/echo/a").await, 200, "{said}");
        let health = send(&follower.edge, get("/health")).await;
        assert_eq!(json(health).await["troubles"]["echo"], shown);
    }
    *says.lock().unwrap() = good;
    follower.read().await.unwrap();
    let serves = async {
        while status(&follower.edge, "/health/test.v1.EchoService").await != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), serves).await.unwrap();
    assert_eq!(json(send(&follower.edge, get("/health")).await).await["troubles"], Value::Null);
    following.abort();
}

#[tokio::test]
async fn a_route_that_cannot_be_served_is_left_out_alone() {
    let (mut follower, says) = changing(descriptors("echo.proto"));
    let file: Bytes = says.lock().unwrap().files["echo.proto"].clone().into();
    for (path, problem) in [("/v1//ilent", "empty segment"), ("/health/x0", "the edge answers this path itself")] {
        says.lock().unwrap().files.insert("echo.proto".into(), renamed(&file, "/v1/silent", path).into());
        let changes = follower.try_read().await.unwrap().unwrap();
        assert!(changes.left_out.len() == 1 && changes.left_out[0].contains(problem), "{changes:?}");
        assert_eq!(status(&follower.edge, "/v1/echo/a").await, 200);
        assert_eq!(status(&follower.edge, "/v1/silent").await, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_load_loses_no_call_and_lets_those_in_flight_end() {
    let first = descriptors("echo.proto");
    let second = renamed(&renamed(&first, "/v1/files/", "/v2/files/"), "/v1/silent", "/v2/silent");
    let (mut follower, says) = changing(first.clone());
    follower.read().await.unwrap();
    let edge = follower.edge.clone();
    let (again, seen) = watch::channel(());
    let following = tokio::spawn(follower.follow(seen));

    let (pieces, mut sent) = mpsc::channel(1);
    let body = StreamBody::new(stream::poll_fn(move |context| sent.poll_recv(context)));
    let upload = Request::put("/v1/files/a").header("host", "test").body(Body::new(body)).unwrap();
    let uploading = tokio::spawn({
        let edge = edge.clone();
        async move { send(&edge, upload).await.status() }
    });
    let piece = || Ok::<_, Status>(http_body::Frame::data(Bytes::from_static(b"piece")));
    pieces.send(piece()).await.unwrap();
    pieces.send(piece()).await.unwrap();

    let calling = tokio::spawn({
        let edge = edge.clone();
        async move {
            let mut calls = 0;
            while !uploading.is_finished() {
                assert_eq!(status(&edge, "/v1/echo/a").await, 200);
                calls += 1;
            }
            (calls, uploading.await.unwrap())
        }
    });
    for round in 0..20 {
        let (set, path) = if round % 2 == 0 { (&second, "/v2/files/a") } else { (&first, "/v1/files/a") };
        *says.lock().unwrap() = Says::all(set.clone());
        again.send_replace(());
        let swapped = async {
            while status(&edge, path).await != 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), swapped).await.unwrap();
    }
    drop(pieces);
    let (calls, uploaded) = tokio::time::timeout(Duration::from_secs(10), calling).await.unwrap().unwrap();
    assert_eq!(uploaded, 200, "it began before twenty tables that had and had not its route");
    assert!(calls > 20, "{calls}");
    following.abort();
}

#[tokio::test]
async fn files_tell_what_an_upstream_serves_and_name_what_they_lack() {
    let folder = std::env::temp_dir().join(format!("malla-edge-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("set.binpb");
    let declared = Upstream { descriptors: vec![file.clone()], ..upstream(Link::alone("echo", Routes::new(echo()))) };
    let mut only = follower(Upstream { services: vec!["test.v1.Nope".into()], ..declared.clone() });
    let mut all = follower(declared);
    let error = all.read().await.unwrap_err().to_string();
    assert!(error.starts_with(&file.display().to_string()), "{error}");
    let set = descriptors("echo.proto");
    std::fs::write(&file, &set).unwrap();
    all.read().await.unwrap();
    assert_eq!(status(&all.edge, "/v1/echo/a").await, 200);
    only.read().await.unwrap_err();
    let echo = DescriptorPool::decode(set).unwrap().get_file_by_name("echo.proto").unwrap().encode_to_vec();
    let mut files = Files::new(usize::MAX);
    files.add(echo.into()).unwrap();
    std::fs::write(&file, files.encode()).unwrap();
    let error = all.read().await.unwrap_err().to_string();
    assert!(error.contains("google/api/annotations.proto is missing, which echo.proto imports"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}
