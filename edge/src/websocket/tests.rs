//! Conversations over sockets, with a client that is not ours.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, Version};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use malla_runtime::auth::DEVELOPMENT_OPERATOR_TOKEN;
use malla_runtime::shutdown::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tonic::body::Body;

use crate::edge::Edge;
use crate::fixture::{self, config};
use crate::record::tests::Noted;
use crate::{Config, accept};

struct Running {
    address: std::net::SocketAddr,
    shutdown: Shutdown,
}

async fn start(edge: Edge) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    tokio::spawn(accept::serve(edge, listener, shutdown.clone()));
    Running { address, shutdown }
}

type Socket = WebSocketStream<TcpStream>;
/// A stream of an HTTP/2 connection.
type Tunnel = WebSocketStream<TokioIo<Upgraded>>;

/// The socket, or the status of the refusal.
async fn connect(running: &Running, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}{path}", running.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(running.address).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// A client's HTTP/2 connection that knows the server's settings: before that it may not ask for tunnels (RFC 8441 3).
async fn http2(running: &Running) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut sender, driver) = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let health = format!("http://{}/health", running.address);
    sender.send_request(Request::get(health).body(Empty::new()).unwrap()).await.unwrap();
    sender
}

/// The socket over HTTP/2 (RFC 8441 4), or the status of the refusal.
async fn tunnel(
    running: &Running,
    sender: &mut SendRequest<Empty<Bytes>>,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Tunnel, u16> {
    let request = Request::connect(format!("http://{}{path}", running.address)).version(Version::HTTP_2);
    let request = request.extension(Protocol::from_static("websocket"));
    let mut request = request.header("sec-websocket-version", "13").body(Empty::new()).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let response = sender.send_request(request).await.unwrap();
    if response.status() != 200 {
        return Err(response.status().as_u16());
    }
    assert!(!response.headers().contains_key("sec-websocket-accept"), "there is no key to answer");
    let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
}

/// The next frame, written out; pings are left out.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> String {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("a frame in time");
        return match frame {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Close(Some(frame)))) => format!("{} {}", u16::from(frame.code), frame.reason),
            Some(Ok(Message::Binary(data))) => format!("{data:?}"),
            Some(Ok(_)) => continue,
            other => format!("{other:?}"),
        };
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// Closes, and is answered with the same (RFC 6455 5.5.1).
async fn leave<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).await.unwrap();
    assert_eq!(hear(socket).await, "1000 bye");
    assert_eq!(hear(socket).await, "None");
}

#[tokio::test]
async fn both_sides_speak_until_one_has_no_more_to_say() {
    let running = start(fixture::edge(config())).await;
    let mut socket = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
    assert_eq!(hear(&mut socket).await, r#"{"id":"a","left":"x"}"#, "the path is a message");
    say(&mut socket, r#"{"id":"b"}"#).await;
    assert_eq!(hear(&mut socket).await, r#"{"id":"b"}"#);
    say(&mut socket, "").await;
    assert_eq!(hear(&mut socket).await, "1000 ");
}

#[tokio::test]
async fn each_kind_of_stream() {
    let running = start(fixture::edge(config())).await;
    for (path, said, heard) in [
        ("/v1/chat", &[r#"{"id":"a"}"#, r#"{"id":"b"}"#, ""][..], &[r#"{"tags":["a","b"]}"#, "1000 "][..]),
        ("/v1/chat", &[""], &["{}", "1000 "]),
        ("/v1/count/2", &[], &[r#"{"i32":1}"#, r#"{"i32":2}"#, "1000 "]),
        ("/v1/files/a", &[], &[r#"b"ab""#, r#"b"cd""#, "1000 "]),
    ] {
        let mut socket = connect(&running, path, &[]).await.unwrap();
        for text in said {
            say(&mut socket, text).await;
        }
        for expected in heard {
            assert_eq!(hear(&mut socket).await, *expected, "{path}");
        }
    }
}

#[tokio::test]
async fn what_fails_is_said_and_the_code_closes() {
    let running = start(fixture::edge(Config { body_bytes_max: 64, ..config() })).await;
    for (path, said, element, close) in [
        ("/v1/count/1?i64=1", None, "{\"error\":{\"code\":5,", "4005 gone"),
        ("/v1/count/x", None, "{\"error\":{\"code\":3,", "4003 0.i32: must be a 32-bit integer"),
        ("/v1/talk/x?id=fail", None, "{\"error\":{\"code\":5,", "4005 failed as asked"),
        (
            "/v1/chat",
            Some("{"),
            "{\"error\":{\"code\":3,",
            "4003 0: malformed JSON: expected a string in double quotes at line 1, column 2",
        ),
        ("/v1/count/1?id=quiet", Some("{}"), "{\"error\":{\"code\":3,", "4003 no more messages are taken"),
    ] {
        let mut socket = connect(&running, path, &[]).await.unwrap();
        if let Some(said) = said {
            say(&mut socket, said).await;
        }
        let mut heard = hear(&mut socket).await;
        if heard == "{\"i32\":1}" {
            heard = hear(&mut socket).await;
        }
        assert!(heard.starts_with(element), "{path}: {heard}");
        assert_eq!(hear(&mut socket).await, close, "{path}");
    }
    let mut socket = connect(&running, "/v1/chat", &[]).await.unwrap();
    socket.send(Message::binary("x")).await.unwrap();
    assert_eq!(hear(&mut socket).await, "1003 JSON is text, and raw bytes are binary");
    let mut socket = connect(&running, "/v1/chat", &[]).await.unwrap();
    say(&mut socket, &"a".repeat(65)).await;
    assert_eq!(hear(&mut socket).await, "1009 the message is too large");
}

#[tokio::test]
async fn ends_are_logged_with_their_code_and_who_refused() {
    let codes = Noted("code", Arc::default());
    // With a second one tracing does not ask the thread of another test whether anybody wants to know.
    let _other = tracing::Dispatch::new(Noted::default());
    let _noted = tracing::subscriber::set_default(codes.clone());
    let running = start(fixture::edge(Config { body_bytes_max: 64, ..config() })).await;
    let unreadable = tower::service_fn(async |_: Request<Incoming>| {
        let response = Response::builder().header("content-type", "application/grpc");
        Ok::<_, Infallible>(response.body(Body::new(Full::from(&b"\0\0\0\0\x01\xff"[..]))).unwrap())
    });
    let broken = start(fixture::in_front_of_bare(unreadable).await).await;
    for (running, path, said, closed, expected) in [
        (&running, "/v1/count/0", None, "1000 ", "OK"),
        (&running, "/v1/count/0?i64=1", None, "4005 gone", "NOT_FOUND by backend"),
        (&broken, "/v1/count/1", None, "4013 the backend's answer", "INTERNAL by backend"),
        (&running, "/v1/chat", Some(Message::binary("x")), "1003 ", "INVALID_ARGUMENT by edge"),
        (&running, "/v1/chat", Some(Message::text("a".repeat(65))), "1009 ", "RESOURCE_EXHAUSTED by edge"),
        // The last one: the edge drains.
        (&running, "/v1/chat", None, "1001 ", "UNAVAILABLE by edge"),
    ] {
        let mut socket = connect(running, path, &[]).await.unwrap();
        if let Some(said) = said {
            socket.send(said).await.unwrap();
        }
        if closed == "1001 " {
            let shutdown = running.shutdown.clone();
            tokio::spawn(async move { shutdown.begin(Duration::ZERO).await });
        }
        let mut heard = hear(&mut socket).await;
        if heard.starts_with('{') {
            heard = hear(&mut socket).await;
        }
        assert!(heard.starts_with(closed), "{path}: {heard}");
        assert_eq!(hear(&mut socket).await, "None", "{path}");
        let noted = async {
            loop {
                match codes.take() {
                    none if none.is_empty() => tokio::task::yield_now().await,
                    noted => return noted,
                }
            }
        };
        let noted = tokio::time::timeout(Duration::from_secs(5), noted).await.unwrap();
        assert_eq!(noted, [expected], "{path}: {closed}");
    }
}

#[tokio::test]
async fn the_handshake_refuses_as_any_request() {
    let config = Config { websocket_origins: vec!["https://app.test".into()], ..config() };
    let running = start(fixture::edge(config)).await;
    let own = format!("https://{}", running.address);
    for (path, headers, expected) in [
        ("/v1/talk/x", &[][..], None),
        ("/v1/talk/x", &[("origin", own.as_str())], None),
        ("/v1/talk/x", &[("origin", "https://app.test")], None),
        ("/v1/talk/x", &[("origin", "https://evil.test")], Some(403)),
        ("/v1/talk/x", &[("origin", "null")], Some(403)),
        ("/v1/talk/x", &[("sec-websocket-version", "8")], Some(426)),
        ("/v1/watched", &[], Some(401)),
        ("/nowhere", &[], Some(404)),
        ("/v1/echo/a", &[], Some(200)),
    ] {
        assert_eq!(connect(&running, path, headers).await.err(), expected, "{path} {headers:?}");
    }
    let protocols = format!("json, bearer.{DEVELOPMENT_OPERATOR_TOKEN}");
    let mut socket = connect(&running, "/v1/watched", &[("sec-websocket-protocol", &protocols)]).await.unwrap();
    assert_eq!(hear(&mut socket).await, "1000 ");
}

#[tokio::test]
async fn keys_are_as_those_of_any_request() {
    let running = start(fixture::edge(config())).await;
    for (given, passed) in [(&["\"k\""][..], Some("k")), (&["k"], Some("k")), (&[], None)] {
        let mut request = format!("ws://{}/v1/chat", running.address).into_client_request().unwrap();
        request.headers_mut().insert("want-key", "1".parse().unwrap());
        request.headers_mut().extend(given.iter().map(|key| (crate::key::KEY, key.parse().unwrap())));
        let stream = TcpStream::connect(running.address).await.unwrap();
        let (mut socket, response) = client_async(request, stream).await.unwrap();
        let made = response.headers().get(crate::key::KEY).map(|key| key.to_str().unwrap());
        assert_eq!(made.is_some(), passed.is_none(), "told if it was made");
        say(&mut socket, "").await;
        assert_eq!(hear(&mut socket).await, format!("{{\"left\":\"{}\"}}", passed.or(made).unwrap()));
    }
    for given in ["\"k", ""] {
        assert_eq!(connect(&running, "/v1/chat", &[("idempotency-key", given)]).await.err(), Some(400), "{given:?}");
    }
}

#[tokio::test]
async fn all_that_is_said_has_a_limit_too() {
    let running = start(fixture::edge(Config { upload_bytes_max: 30, ..config() })).await;
    let mut socket = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
    hear(&mut socket).await;
    for id in ["b", "c", "d"] {
        say(&mut socket, &format!("{{\"id\":\"{id}\"}}")).await;
        assert_eq!(hear(&mut socket).await, format!("{{\"id\":\"{id}\"}}"));
    }
    say(&mut socket, "{}").await;
    assert!(hear(&mut socket).await.starts_with("{\"error\":{\"code\":8,"));
    assert_eq!(hear(&mut socket).await, "4008 the body is larger than 30 bytes");
}

/// A frame that has not come to its end leaves no room for another like it; what was passed on is held no more.
#[tokio::test]
async fn frames_count_among_what_requests_hold() {
    let all = Config { buffered_bytes_max: 1_000, ..config() };
    let one_client = Config { buffered_bytes_per_ip_max: 1_000, ..config() };
    for (config, refusal) in [
        (all, "4014 the edge is at its limit of buffered bodies"),
        (one_client, "4008 too much of this client's requests and answers is buffered"),
    ] {
        let running = start(fixture::edge(config)).await;
        let said = format!("{{\"id\":\"{}\"}}", "a".repeat(800));
        let mut first = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
        hear(&mut first).await;
        for _ in 0..3 {
            say(&mut first, &said).await;
            assert_eq!(hear(&mut first).await, said);
        }
        // Final, text, masked with zeros.
        let length = u16::try_from(said.len()).unwrap().to_be_bytes();
        let frame = [&[0x81, 0xfe], &length[..], &[0; 4], said.as_bytes()].concat();
        let (begun, rest) = frame.split_at(frame.len() - 1);
        first.get_mut().write_all(begun).await.unwrap();
        let refused = async {
            loop {
                let mut second = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
                hear(&mut second).await;
                say(&mut second, &said).await;
                if hear(&mut second).await.starts_with("{\"error\"") {
                    return hear(&mut second).await;
                }
            }
        };
        let refused = tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
        assert_eq!(refused, refusal);
        first.get_mut().write_all(rest).await.unwrap();
        assert_eq!(hear(&mut first).await, said);
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_call() {
    let (edge, mut told) = fixture::remote(config()).await;
    let running = start(edge).await;
    for clean in [true, false] {
        let mut socket = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
        hear(&mut socket).await;
        assert_eq!(told.recv().await, Some("begun"));
        if clean {
            leave(&mut socket).await;
        }
        drop(socket);
        let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
        assert_eq!(fate, Ok(Some("cut")), "not complete, and before its deadline");
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_gone() {
    let (edge, mut told) = fixture::remote(Config { websocket_ping_ms: 100, ..config() }).await;
    let running = start(edge).await;
    let mut socket = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
    hear(&mut socket).await;
    assert_eq!(told.recv().await, Some("begun"));
    // Pings are answered while it listens.
    assert!(tokio::time::timeout(Duration::from_millis(400), hear(&mut socket)).await.is_err());
    let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
    assert_eq!(fate, Ok(Some("cut")));
}

#[tokio::test]
async fn drain_closes_and_a_place_is_held_until_the_end() {
    let running = start(fixture::edge(Config { requests_max: 1, ..config() })).await;
    let mut socket = connect(&running, "/v1/talk/x?id=a", &[]).await.unwrap();
    hear(&mut socket).await;
    assert_eq!(connect(&running, "/v1/talk/x", &[]).await.err(), Some(503));
    let draining = tokio::spawn(async move { running.shutdown.begin(Duration::ZERO).await });
    assert_eq!(hear(&mut socket).await, "1001 the edge is shutting down");
    draining.await.unwrap();
}

#[tokio::test]
async fn one_http2_connection_carries_many() {
    let running = start(fixture::edge(Config { body_bytes_max: 64, ..config() })).await;
    let mut client = http2(&running).await;
    let mut sockets = Vec::new();
    for (path, said, heard) in [
        ("/v1/talk/x?id=a", &[r#"{"id":"b"}"#, ""][..], &[r#"{"id":"a","left":"x"}"#, r#"{"id":"b"}"#, "1000 "][..]),
        ("/v1/chat", &[r#"{"id":"a"}"#, r#"{"id":"b"}"#, ""], &[r#"{"tags":["a","b"]}"#, "1000 "]),
        ("/v1/count/2", &[], &[r#"{"i32":1}"#, r#"{"i32":2}"#, "1000 "]),
        ("/v1/files/a", &[], &[r#"b"ab""#, r#"b"cd""#, "1000 "]),
        ("/v1/count/0?i64=1", &[], &["{\"error\":", "4005 gone"]),
        (
            "/v1/chat",
            &["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
            &["1009 the message is too large"],
        ),
    ] {
        sockets.push((tunnel(&running, &mut client, path, &[]).await.unwrap(), path, said, heard));
    }
    for (socket, path, said, heard) in &mut sockets {
        for text in *said {
            say(socket, text).await;
        }
        for expected in *heard {
            let frame = hear(socket).await;
            assert!(frame.starts_with(expected), "{path}: {frame}");
        }
    }
    let own = format!("http://{}", running.address);
    for (path, headers, expected) in [
        ("/v1/talk/x", &[("origin", own.as_str())][..], None),
        ("/v1/talk/x", &[("origin", "https://evil.test")], Some(403)),
        ("/v1/talk/x", &[("sec-websocket-version", "8")], Some(426)),
        ("/v1/watched", &[], Some(401)),
        ("/v1/echo/a", &[], Some(501)),
        ("/nowhere", &[], Some(501)),
    ] {
        assert_eq!(tunnel(&running, &mut client, path, headers).await.err(), expected, "{path} {headers:?}");
    }
}

#[tokio::test]
async fn over_http2_too_whoever_leaves_or_answers_no_ping_cancels_the_call() {
    let (edge, mut told) = fixture::remote(Config { websocket_ping_ms: 100, ..config() }).await;
    let running = start(edge).await;
    let mut client = http2(&running).await;
    for clean in [true, false] {
        let mut socket = tunnel(&running, &mut client, "/v1/talk/x?id=a", &[]).await.unwrap();
        hear(&mut socket).await;
        assert_eq!(told.recv().await, Some("begun"));
        // Pings are answered while it listens.
        assert!(tokio::time::timeout(Duration::from_millis(400), hear(&mut socket)).await.is_err());
        if clean {
            leave(&mut socket).await;
            drop(socket);
        }
        let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
        assert_eq!(fate, Ok(Some("cut")), "clean: {clean}");
    }
    let mut socket = tunnel(&running, &mut client, "/v1/talk/x?id=a", &[]).await.unwrap();
    hear(&mut socket).await;
    let draining = tokio::spawn(async move { running.shutdown.begin(Duration::ZERO).await });
    assert_eq!(hear(&mut socket).await, "1001 the edge is shutting down");
    draining.await.unwrap();
}

/// Without a connection that is handed over there is nothing to speak over; a call that needs none is made.
#[tokio::test]
async fn a_server_that_keeps_its_connections_is_told_of() {
    let edge = fixture::edge(config());
    let request = |path: &str| {
        let request = Request::get(path).header("host", "test").header("connection", "upgrade");
        let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
        request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").body(tonic::body::Body::empty()).unwrap()
    };
    assert_eq!(fixture::send(&edge, request("/v1/talk/x")).await.status(), 501);
    assert_eq!(fixture::send(&edge, request("/v1/echo/a")).await.status(), 200);
}
