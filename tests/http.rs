//! HTTP to the letter, over raw sockets: what the RFCs forbid is refused, and the connection closed where framing is in
//! doubt.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Mesh, Topology};

/// Sends bytes, and reads until the other side closes or has been silent for a while.
async fn exchange(edge: &str, sent: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(edge.trim_start_matches("http://")).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let (mut answer, mut closed) = (Vec::new(), false);
    let mut piece = [0; 4_096];
    while let Ok(read) = tokio::time::timeout(Duration::from_millis(700), stream.read(&mut piece)).await {
        match read {
            Ok(0) | Err(_) => {
                closed = true;
                break;
            }
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
    }
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

/// Expectations: RFC 9112 3.2 and 6.1, RFC 9110 9.3.6 and 9.3.8.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_nothing_behind_them_is_read() {
    let mesh = Mesh::start(Topology::OneProcess).await;
    let next = "GET /v1/beers HTTP/1.1\r\nhost: a\r\n\r\n";
    let rows = [
        ("GET /active HTTP/1.1\r\n\r\n", 400),
        ("GET /active HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ("GET /active HTTP/1.1\r\nhost: a b\r\n\r\n", 400),
        ("POST /active HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /active HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello", 400),
        ("POST /active HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
        ("GET /active HTTP/1.1\r\nhost : a\r\n\r\n", 400),
        ("TRACE /active HTTP/1.1\r\nhost: a\r\n\r\n", 405),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 405),
    ];
    for (request, status) in rows {
        let (answer, closed) = exchange(mesh.edge(), &format!("{request}{next}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer:?}");
        assert!(closed, "{request:?}: the connection stayed open");
        assert!(!answer.contains("123456"), "{request:?}: a second request was answered");
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(9_000));
    assert!(exchange(mesh.edge(), &long).await.0.starts_with("HTTP/1.1 414 "));
    let (both, _) = exchange(mesh.edge(), &format!("{next}{next}")).await;
    assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2, "requests may follow each other: {both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_are_closed_and_one_client_has_so_many() {
    let settings = [("EDGE__FIRST_BYTE_TIMEOUT_MS", "1000"), ("EDGE__CONNECTIONS_PER_IP_MAX", "20")];
    let mesh = Mesh::start_with(Topology::OneProcess, &settings).await;
    let address = mesh.edge().trim_start_matches("http://").to_owned();
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    for stream in &mut silent {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 16])).await;
        assert!(matches!(read.expect("closed in time"), Ok(0) | Err(_)));
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(reqwest::get(format!("{}/v1/beers", mesh.edge())).await.unwrap().status(), 200, "others are served");
}
