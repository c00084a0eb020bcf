//! Upstreams behind TLS: who is taken for one, what is said of the others, and that all goes through.

use malla_runtime::link::{Tls, TlsFiles};
use malla_servers::tls::{Certificates, Terms};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::accept;

const H2: Terms = Terms { alpn: &["h2"], known_clients: false };

/// The address of a gRPC server without TLS.
async fn plain() -> SocketAddr {
    let set = descriptors("echo.proto");
    let reflection = Builder::configure().register_encoded_file_descriptor_set(&set).with_service_name(SERVICE);
    let routes = Routes::new(echo()).add_service(reflection.build_v1().unwrap());
    listen(routes).await
}

fn secured(address: &str, files: &TlsFiles) -> Upstream {
    upstream(Link::secured("echo", &address.parse().unwrap(), Some(Tls::read(files).unwrap())))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_to_a_server_that_is_trusted() {
    let Some(certificates) = Certificates::make() else { return };
    let behind = plain().await;
    let port = certificates.in_front_of(behind, H2).await.port();
    let files = TlsFiles { ca_file: Some(certificates.authority()), ..TlsFiles::default() };
    // A name, which stands for several addresses; an address; both of them.
    let both = format!("https://127.0.0.1:{port},https://localhost:{port}");
    for address in [format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}"), both] {
        let mut follower = follower(secured(&address, &files));
        follower.read().await.unwrap();
        let edge = &follower.edge;
        assert_eq!(json(send(edge, get("/v1/echo/a")).await).await, serde_json::json!({"id": "a"}), "{address}");
        let grpc = Request::post("/test.v1.EchoService/Get").version(http::Version::HTTP_2);
        let grpc = grpc.header("content-type", "application/grpc").header("te", "trailers");
        let grpc = grpc.body(Body::new(http_body_util::Full::new(Bytes::from_static(b"\0\0\0\0\x03\x0a\x01a"))));
        let answer = send(edge, grpc.unwrap()).await.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(answer.to_bytes(), &b"\0\0\0\0\x03\x0a\x01a"[..]);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let serving = tokio::spawn(accept::serve(edge.clone(), listener, Shutdown::default()));
        let stream = tokio::net::TcpStream::connect(own).await.unwrap();
        let (mut socket, _) = client_async(format!("ws://{own}/v1/talk/x?id=a"), stream).await.unwrap();
        let heard = socket.next().await.unwrap().unwrap();
        assert_eq!(heard, Message::text(r#"{"id":"a","left":"x"}"#));
        serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_trusted_gets_no_call_and_is_named() {
    let (Some(ours), Some(others)) = (Certificates::make(), Certificates::make()) else { return };
    let behind = plain().await;
    let port = ours.in_front_of(behind, H2).await.port();
    let choosy = ours.in_front_of(behind, Terms { known_clients: true, ..H2 }).await.port();
    let old = ours.in_front_of(behind, Terms { alpn: &["http/1.1"], ..H2 }).await.port();
    let silent_on_it = ours.in_front_of(behind, Terms { alpn: &[], ..H2 }).await.port();
    let trusting =
        |certificates: &Certificates| TlsFiles { ca_file: Some(certificates.authority()), ..TlsFiles::default() };
    let known =
        TlsFiles { client_cert_file: Some(ours.certificate()), client_key_file: Some(ours.key()), ..trusting(&ours) };
    let stranger = TlsFiles {
        client_cert_file: Some(others.certificate()),
        client_key_file: Some(others.key()),
        ..trusting(&ours)
    };
    let named = |name: &str| TlsFiles { server_name: Some(name.to_owned()), ..trusting(&ours) };
    let rows = [
        (format!("https://localhost:{port}"), trusting(&others), Some("an authority that is not trusted")),
        (format!("https://127.0.0.1:{port}"), named("elsewhere.test"), Some("not for \"elsewhere.test\"")),
        (format!("https://127.0.0.1:{port}"), named("localhost"), None),
        (format!("https://localhost:{choosy}"), known, None),
        // The alert comes after the handshake; what is written meanwhile may find the connection closed first.
        (format!("https://localhost:{choosy}"), trusting(&ours), Some("CertificateRequired|was lost")),
        (format!("https://localhost:{choosy}"), stranger, Some("received fatal alert|was lost")),
        (format!("https://localhost:{old}"), trusting(&ours), Some("does not speak HTTP/2")),
        (format!("https://localhost:{silent_on_it}"), trusting(&ours), Some("does not speak HTTP/2")),
        (format!("https://{behind}"), trusting(&ours), Some("does not speak TLS")),
        // It depends on who is first, to close or to write.
        (format!("http://localhost:{port}"), trusting(&ours), Some("server reflection: ")),
    ];
    for (address, files, said) in rows {
        let mut follower = follower(secured(&address, &files));
        match (follower.read().await, said) {
            (Ok(()), None) => {}
            (Err(error), Some(said)) => {
                let is_said = said.split('|').any(|said| error.to_string().contains(said));
                assert!(is_said, "{address} {files:?}: {error}");
                let health = json(send(&follower.edge, get("/health")).await).await;
                assert_eq!(health["troubles"]["echo"], error.kind());
            }
            (outcome, _) => panic!("{address} {files:?}: {outcome:?}"),
        }
    }
}

/// Where files say what there is, nobody but the health check hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_declared_upstream_that_is_not_trusted_is_named_too() {
    let (Some(ours), Some(others)) = (Certificates::make(), Certificates::make()) else { return };
    let address = format!("https://{}", ours.in_front_of(plain().await, H2).await);
    let files = TlsFiles { ca_file: Some(others.authority()), ..TlsFiles::default() };
    let tls = Some(Tls::read(&files).unwrap());
    let link = Link::secured("echo", &address.parse().unwrap(), tls);
    let edge = fixture::in_front_of(fixture::config(), Backend { link, ..fixture::backend(descriptors("echo.proto")) });
    let following = tokio::spawn(edge.health().follow(Shutdown::default()));
    let named = async {
        loop {
            let health = json(send(&edge, get("/health")).await).await;
            if health["troubles"]["echo"].as_str().is_some_and(|said| said.contains("that is not trusted")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), named).await.unwrap();
    following.abort();
}
