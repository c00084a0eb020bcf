use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

use super::*;
use crate::Json;
use crate::fixture;
use malla_runtime::codec::BytesCodec;

struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    serving: JoinHandle<io::Result<()>>,
}

async fn start(config: Config) -> Running {
    start_edge(fixture::edge(config)).await
}

async fn start_edge(edge: Edge) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let serving = tokio::spawn(serve(edge, listener, shutdown.clone()));
    Running { address, shutdown, serving }
}

/// What comes back until the connection is closed, or reset.
async fn exchange(address: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut received = String::new();
    let _ = stream.read_to_string(&mut received).await;
    received
}

#[tokio::test]
async fn http1_and_grpc_share_the_port() {
    let running = start(fixture::config()).await;
    let answer = exchange(running.address, "GET /v1/echo/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{\"id\":\"a\"}"), "{answer}");
    assert!(answer.contains("content-length: 10\r\n"), "{answer}");
    let head = exchange(running.address, "HEAD /v1/echo/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let asked =
        "GET /v1/echo/a HTTP/1.1\r\nhost: a\r\nte: trailers\r\nwant-trailer: 1\r\nconnection: te, close\r\n\r\n";
    let answer = exchange(running.address, asked).await;
    assert!(answer.contains("trailer: x-after\r\n") && answer.ends_with("0\r\nx-after: 1\r\n\r\n"), "{answer}");
    let asked =
        "GET /v1/count/1 HTTP/1.1\r\nhost: a\r\nte: trailers\r\nwant-trailer: 1\r\nconnection: te, close\r\n\r\n";
    let answer = exchange(running.address, asked).await;
    assert!(answer.contains("trailer: x-after\r\n"), "what the backend announces, HTTP/1.1 has a place for: {answer}");
    assert!(answer.ends_with("1\r\n]\r\n0\r\nx-after: 1\r\n\r\n"), "{answer}");
    let refused = exchange(running.address, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");

    let channel = Endpoint::from_shared(format!("http://{}", running.address)).unwrap().connect().await.unwrap();
    let check = HealthCheckRequest { service: "echo".into() };
    assert!(HealthClient::new(channel.clone()).check(check).await.is_ok());

    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let mut answers = reflection.server_reflection_info(tokio_stream::once(list)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list");
    };
    let names: Vec<String> = list.service.into_iter().map(|ServiceResponse { name }| name).collect();
    for name in [fixture::SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.iter().any(|listed| listed == name), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn reflection_can_be_turned_off() {
    let mut config = fixture::config();
    config.reflection.serve = false;
    let running = start(config).await;
    let channel = stingy(running.address, 65_535).await;
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let asked = reflection.server_reflection_info(tokio_stream::once(ServerReflectionRequest::default())).await;
    assert_eq!(asked.unwrap_err().code(), tonic::Code::Unimplemented);
    let check = HealthCheckRequest { service: "echo".into() };
    assert!(HealthClient::new(channel).check(check).await.is_ok());
}

#[tokio::test]
async fn connections_that_do_not_speak_are_closed() {
    let config = Config { first_byte_timeout_ms: 50, header_timeout_ms: 50, ..fixture::config() };
    let running = start(config).await;
    for begun in ["", "PRI * HTT", "GET / HTTP/1.1\r\nhost:"] {
        let closed = tokio::time::timeout(Duration::from_secs(5), exchange(running.address, begun)).await;
        assert!(closed.is_ok(), "{begun:?} stays open");
    }
}

#[tokio::test]
async fn old_connections_close_after_their_answer() {
    let running = start(Config { connection_age_ms: 50, header_timeout_ms: 60_000, ..fixture::config() }).await;
    let asked = exchange(running.address, "GET /v1/echo/a HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_has_only_so_many_connections() {
    let running = start(Config { connections_per_ip_max: 1, ..fixture::config() }).await;
    let asked = "GET /v1/echo/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let first = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(exchange(running.address, asked).await, "");
    drop(first);
    let again = async { while exchange(running.address, asked).await.is_empty() {} };
    tokio::time::timeout(Duration::from_secs(5), again).await.unwrap();
}

/// A client over HTTP/2 that takes so many bytes of each answer and no more; it answers pings.
async fn stingy(address: SocketAddr, bytes: u32) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().initial_stream_window_size(bytes);
    endpoint.connect().await.unwrap()
}

async fn ask(channel: &mut Channel, request: http::Request<Body>) -> http::Response<Body> {
    futures_util::future::poll_fn(|context| tower::Service::poll_ready(channel, context)).await.unwrap();
    tower::Service::call(channel, request).await.unwrap()
}

fn get(path: &str) -> http::Request<Body> {
    http::Request::get(path).header("host", "a").body(Body::empty()).unwrap()
}

/// The status of a plain request.
async fn status(address: SocketAddr, path: &str) -> u16 {
    let asked = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    exchange(address, &asked).await.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

async fn until(address: SocketAddr, path: &str, expected: u16) {
    let until = async { while status(address, path).await != expected {} };
    tokio::time::timeout(Duration::from_secs(30), until).await.unwrap();
}

/// Places for two requests, and not long for their answers.
fn few() -> Config {
    let (deadline_ms, stream_deadline_ms, answer_timeout_ms) = (200, 200, 1_000);
    Config { requests_max: 2, deadline_ms, stream_deadline_ms, answer_timeout_ms, ..fixture::config() }
}

#[tokio::test]
async fn answers_that_are_not_taken_lose_their_place() {
    for path in ["/v1/echo/a", "/v1/files/a", "/v1/count/3?id=quiet"] {
        let running = start(few()).await;
        let mut channel = stingy(running.address, 0).await;
        let (mut first, _second) = (ask(&mut channel, get(path)).await, ask(&mut channel, get(path)).await);
        assert_eq!(status(running.address, "/v1/echo/b").await, 503, "{path}");
        until(running.address, "/v1/echo/b", 200).await;
        assert!(first.body_mut().frame().await.unwrap().is_err(), "{path}: it is reset");
        assert_eq!(ask(&mut channel, get(path)).await.status(), 200, "{path}: the connection goes on");
    }
}

#[tokio::test]
async fn what_is_passed_through_and_not_taken_loses_its_place() {
    let running = start(few()).await;
    let mut channel = stingy(running.address, 0).await;
    let call = || {
        let request = http::Request::post("/test.v1.EchoService/Get").header("content-type", "application/grpc");
        request
            .header("te", "trailers")
            .body(Body::new(http_body_util::Full::new(Bytes::from_static(&[0; 5]))))
            .unwrap()
    };
    let _answers = (ask(&mut channel, call()).await, ask(&mut channel, call()).await);
    assert_eq!(status(running.address, "/v1/echo/b").await, 503);
    until(running.address, "/v1/echo/b", 200).await;
}

#[tokio::test]
async fn a_stream_over_http1_that_is_not_taken_loses_its_place() {
    let running = start(Config { requests_max: 1, ..few() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(running.address).await.unwrap();
    stream.write_all(b"GET /v1/count/400000 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // It has the only place, and is more than the sockets hold.
    stream.read_exact(&mut [0; 1]).await.unwrap();
    until(running.address, "/v1/echo/b", 200).await;
}

#[tokio::test]
async fn an_old_connection_does_not_wait_for_ever_for_answers_to_be_taken() {
    let running = start(Config { connection_age_ms: 1_000, connections_max: 1, ..few() }).await;
    let mut channel = stingy(running.address, 1).await;
    let _untaken = ask(&mut channel, get("/v1/echo/a")).await;
    // There is no room for another until then.
    until(running.address, "/v1/echo/b", 200).await;
}

#[tokio::test]
async fn one_client_cannot_take_all_places() {
    let config = Config { requests_max: 3, requests_per_ip_max: 2, stream_deadline_ms: 60_000, ..fixture::config() };
    let edge = fixture::edge(config);
    let running = start_edge(edge.clone()).await;
    let mut channel = stingy(running.address, 0).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(ask(&mut channel, get("/v1/count/1?id=quiet")).await);
    }
    let asked = "GET /v1/echo/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let refused = exchange(running.address, asked).await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert_eq!(status(running.address, "/").await, 200, "how the edge is, is told");
    assert_eq!(fixture::send(&edge, get("/v1/echo/a")).await.status(), 200, "another client's");
    drop(answers);
    until(running.address, "/v1/echo/a", 200).await;
}

#[tokio::test]
async fn health_is_told_however_many_calls_of_the_edges_own_never_end() {
    let config = Config { deadline_ms: 500, requests_per_ip_max: 10_000, h2_streams_max: 10_000, ..fixture::config() };
    let running = start(config).await;
    let channel = stingy(running.address, 65_535).await;
    let code = async |path: &str| {
        let never = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, tonic::Status>>();
        let request = http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
        let request = request.body(Body::new(http_body_util::StreamBody::new(never))).unwrap();
        let answer = ask(&mut channel.clone(), request).await;
        (tonic::Status::from_header_map(answer.headers()).map(|status| status.code()), answer)
    };
    let all = async |path: &str| futures_util::future::join_all((0..1_000).map(|_| code(path))).await;
    let health = async || {
        let check = HealthCheckRequest { service: "echo".into() };
        HealthClient::new(channel.clone()).check(check).await.map(drop).map_err(|status| status.code())
    };
    let info = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let streams = all(info).await;
    assert!(streams.iter().all(|(code, _)| code.is_none()), "they go on");
    assert_eq!(code(info).await.0, Some(tonic::Code::Unavailable), "there are no more of them");
    assert_eq!(health().await, Ok(()));
    let checks = all("/grpc.health.v1.Health/Check").await;
    assert!(checks.iter().all(|(code, _)| *code == Some(tonic::Code::DeadlineExceeded)));
    assert_eq!(health().await, Ok(()));
}

#[tokio::test]
async fn drain_does_not_wait_for_connections_that_asked_nothing() {
    let running = start(Config { first_byte_timeout_ms: 60_000, ..fixture::config() }).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    exchange(running.address, "GET /v1/echo/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    running.shutdown.begin(Duration::ZERO).await;
    let drained = tokio::time::timeout(Duration::from_millis(800), running.serving).await;
    assert!(drained.is_ok(), "the drain timeout is 1 s");
    assert!(silent.read_to_end(&mut Vec::new()).await.is_ok_and(|length| length == 0));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_call_along() {
    let (edge, mut told) = fixture::remote(fixture::config()).await;
    let running = start_edge(edge).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /v1/echo/hang HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(told.recv().await, Some("begun"));
    drop(stream);
    let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
    assert_eq!(fate, Ok(Some("left")), "before its deadline");
}

#[tokio::test]
async fn an_upload_whose_client_leaves_is_cut() {
    let (edge, mut told) = fixture::remote(fixture::config()).await;
    let running = start_edge(edge).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let head = "PUT /v1/files/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[7; 200_000]).await.unwrap();
        assert_eq!(told.recv().await, Some("begun"));
        drop(stream);
        let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
        assert_eq!(fate, Ok(Some("cut")), "not complete, and before its deadline");
    }
}

/// A request over HTTP/2 whose body is written line by line, and breaks off with an empty one; its response, whose lines are read as they come.
async fn converse(address: SocketAddr) -> (UnboundedSender<&'static str>, http::Response<Body>) {
    let mut channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let (lines, said) = unbounded_channel::<&str>();
    let frames = futures_util::stream::unfold(said, async |mut said| {
        let line = said.recv().await?;
        let gone = || tonic::Status::cancelled("gone");
        Some(((!line.is_empty()).then(|| http_body::Frame::data(Bytes::from(line))).ok_or_else(gone), said))
    });
    let request = http::Request::post("/v1/talk/x").header("accept", "application/x-ndjson");
    let request = request.header("content-type", "application/x-ndjson");
    let request = request.body(Body::new(http_body_util::StreamBody::new(frames))).unwrap();
    lines.send("{\"id\":\"a\"}\n").unwrap();
    (lines, ask(&mut channel, request).await)
}

async fn line(response: &mut http::Response<Body>) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(5), response.body_mut().frame()).await;
    let data = frame.unwrap().unwrap().unwrap().into_data().unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

#[tokio::test]
async fn over_http2_both_sides_speak_at_once() {
    let (edge, mut told) = fixture::remote(fixture::config()).await;
    let running = start_edge(edge).await;
    let (lines, mut response) = converse(running.address).await;
    assert_eq!(line(&mut response).await, "{\"id\":\"a\",\"left\":\"x\"}\n");
    lines.send("{\"id\":\"b\"}\n").unwrap();
    assert_eq!(line(&mut response).await, "{\"id\":\"b\"}\n");
    drop(lines);
    assert!(response.body_mut().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("complete")));
}

#[tokio::test]
async fn a_conversation_whose_client_leaves_is_cut() {
    let (edge, mut told) = fixture::remote(fixture::config()).await;
    let running = start_edge(edge).await;
    for _ in 0..20 {
        let (lines, mut response) = converse(running.address).await;
        line(&mut response).await;
        assert_eq!(told.recv().await, Some("begun"));
        lines.send("").unwrap();
        let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
        assert_eq!(fate, Ok(Some("cut")), "not complete, and before its deadline");
    }
}

#[tokio::test]
async fn a_grpc_upload_that_is_cancelled_is_cut() {
    let (edge, mut told) = fixture::remote(fixture::config()).await;
    let running = start_edge(edge).await;
    let channel = Endpoint::from_shared(format!("http://{}", running.address)).unwrap().connect().await.unwrap();
    for _ in 0..20 {
        let pieces = futures_util::stream::iter([Bytes::from_static(b"\x0a\x01a")]);
        let mut request = tonic::Request::new(pieces.chain(futures_util::stream::pending()));
        let cancel = request.cancellation_handle();
        let mut client = tonic::client::Grpc::new(channel.clone());
        let uploading = tokio::spawn(async move {
            client.ready().await.unwrap();
            let path = http::uri::PathAndQuery::from_static("/test.v1.EchoService/Upload");
            client.client_streaming(request, path, BytesCodec).await.map(drop)
        });
        assert_eq!(told.recv().await, Some("begun"));
        cancel.cancel();
        let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
        assert_eq!(fate, Ok(Some("cut")), "not complete, and before its deadline");
        assert!(uploading.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn bodies_that_stall_are_given_up() {
    let running = start(Config { body_idle_timeout_ms: 50, ..fixture::config() }).await;
    let begun = "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{\"i";
    assert!(exchange(running.address, begun).await.starts_with("HTTP/1.1 408 "));
}

/// Room for 1,000 bytes of bodies, of all or of each client, and what those get for whom there is none.
fn narrow() -> [(Config, u16); 2] {
    let all = Config { buffered_bytes_max: 1_000, ..fixture::config() };
    let one_client = Config { buffered_bytes_per_ip_max: 1_000, ..fixture::config() };
    [(all, 503), (one_client, 429)]
}

#[tokio::test]
async fn bodies_of_requests_together_are_bounded() {
    let json = format!("{{\"id\":\"{}\"}}", "a".repeat(800));
    let form = format!("--b\r\ncontent-disposition: form-data; name=m\r\n\r\n{json}\r\n--b--\r\n");
    for (config, status) in narrow() {
        let running = start(config).await;
        for (line, content_type, body, good) in [
            ("POST /v1/echo", "application/json", &json, 201),
            ("POST /v1/chat", "application/json", &json, 200),
            ("POST /v1/chat", "application/x-ndjson", &json, 200),
            ("POST /v1/chat", "multipart/form-data; boundary=b", &form, 200),
            ("PUT /v1/files/a", "text/plain", &json, 200),
        ] {
            let length = body.len();
            let head = format!("host: a\r\nconnection: close\r\ncontent-type: {content_type}\r\n");
            let whole = format!("{line} HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}");
            bodies_are_bounded(running.address, &whole, good, status).await;
        }
    }
}

/// A request that has not come to its end yet leaves no room for another like it.
async fn bodies_are_bounded(address: SocketAddr, whole: &str, good: u16, status: u16) {
    let (good, refusal) = (format!("HTTP/1.1 {good} "), format!("HTTP/1.1 {status} "));
    let (begun, rest) = whole.split_at(whole.len() - 20);
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(begun.as_bytes()).await.unwrap();
    let refused = async {
        loop {
            let answer = exchange(address, whole).await;
            if answer.starts_with(&refusal) {
                return answer;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(5), refused).await.expect(whole);
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    let less = "POST /v1/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    assert!(exchange(address, less).await.starts_with("HTTP/1.1 201 "), "there is room for less");
    first.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with(&good), "{answer}");
    assert!(exchange(address, whole).await.starts_with(&good), "and again for as much");
}

#[tokio::test]
async fn what_was_passed_on_of_a_stream_is_held_no_more() {
    for (config, _) in narrow() {
        let running = start(config).await;
        let (lines, mut response) = converse(running.address).await;
        line(&mut response).await;
        let said: &str = format!("{{\"id\":\"{}\"}}\n", "a".repeat(800)).leak();
        for _ in 0..3 {
            lines.send(said).unwrap();
            assert_eq!(line(&mut response).await, said);
        }
    }
}

#[tokio::test]
async fn answers_that_are_not_taken_are_bounded() {
    let json = Json { emit_defaults: true, ..Json::default() };
    let config = Config { stream_deadline_ms: 60_000, json, ..fixture::config() };
    let all = Config { buffered_bytes_max: 1_000_000, ..config.clone() };
    let one_client = Config { buffered_bytes_per_ip_max: 1_000_000, ..config };
    for (config, status) in [(all, 503), (one_client, 429)] {
        let running = start(config).await;
        let mut channel = stingy(running.address, 0).await;
        let call = || {
            // Each becomes many bytes.
            let subs = format!(r#"{{"subs":[{}{{}}]}}"#, "{},".repeat(30_000));
            let request = http::Request::post("/v1/echo");
            request.body(Body::new(http_body_util::Full::new(Bytes::from(subs)))).unwrap()
        };
        let first = ask(&mut channel, call()).await;
        let length: u64 = first.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert!((500_000..900_000).contains(&length), "{length}");
        assert_eq!(ask(&mut channel, call()).await.status(), status);
        assert_eq!(ask(&mut channel, get("/v1/echo/a")).await.status(), 200, "there is room for less");
        drop(first);
        let again = async { while ask(&mut channel, call()).await.status() != 201 {} };
        tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    }
}

#[tokio::test]
async fn drain_finishes_requests_in_flight_and_ends_streams() {
    let running = start(fixture::config()).await;
    let silent = tokio::spawn(exchange(running.address, "GET /v1/silent HTTP/1.1\r\nhost: a\r\n\r\n"));
    let stream = "GET /v1/count/1?id=quiet HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut stream_connection = TcpStream::connect(running.address).await.unwrap();
    stream_connection.write_all(stream.as_bytes()).await.unwrap();
    let mut first = [0; 1];
    stream_connection.read_exact(&mut first).await.unwrap();

    running.shutdown.begin(Duration::ZERO).await;
    assert!(silent.await.unwrap().starts_with("HTTP/1.1 504 "), "a request in flight is answered");
    let mut rest = String::new();
    stream_connection.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("the edge is shutting down"), "{rest}");
    assert!(running.serving.await.unwrap().is_ok());
    assert!(TcpStream::connect(running.address).await.is_err());
}
