//! Files over HTTP: bytes in and out at any size, and no way out of the folder.

use std::time::Duration;

use futures_util::StreamExt as _;
use malla_contracts::google::api::HttpBody;
use malla_contracts::malla::files::v1::UploadFileRequest;
use malla_contracts::malla::files::v1::files_service_client::FilesServiceClient;
use serde_json::{Value, json};

use crate::support::{Lane, Mesh, Topology};

const PIECE: usize = 64 * 1024;

/// Pieces of a file of `mib` MiB that can be checked without being kept.
fn pieces(mib: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..mib * (1 << 20) / PIECE).map(|piece| vec![u8::try_from(piece % 251).unwrap(); PIECE])
}

fn upload(http: &reqwest::Client, mesh: &Mesh, lane: &Lane, path: &str, mib: usize) -> reqwest::RequestBuilder {
    let stream = futures_util::stream::iter(pieces(mib).map(Ok::<_, std::io::Error>));
    let request = http.put(format!("{}/v1/files/{path}", mesh.edge())).bearer_auth(lane.token());
    request.header("content-type", "application/octet-stream").body(reqwest::Body::wrap_stream(stream))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_is_what_is_downloaded() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        let (http, lane) = (reqwest::Client::new(), Lane::rest(&mesh).user("sender").await);
        let response = upload(&http, &mesh, &lane, "new/big.bin", 20).send().await.unwrap();
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
        let stored: Value = response.json().await.unwrap();
        assert_eq!((&stored["path"], &stored["size_bytes"]), (&json!("new/big.bin"), &json!((20 << 20).to_string())));

        let response = http.get(format!("{}/v1/files/new/big.bin", mesh.edge())).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let (mut body, mut expected) = (response.bytes_stream(), pieces(20).flatten());
        while let Some(piece) = body.next().await {
            let piece = piece.unwrap();
            assert!(piece.iter().copied().eq(expected.by_ref().take(piece.len())), "other bytes");
        }
        assert_eq!(expected.next(), None, "nothing is missing");
        let gone = http.delete(format!("{}/v1/files/new/big.bin", mesh.edge())).bearer_auth(lane.token()).send().await;
        assert_eq!(gone.unwrap().status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_folder_can_be_named() {
    let mesh = Mesh::start(Topology::OneProcess).await;
    std::fs::write(mesh.data_dir().join("secret.txt"), "TOP SECRET").unwrap();
    std::os::unix::fs::symlink("../secret.txt", mesh.data_dir().join("files/link.txt")).unwrap();
    std::os::unix::fs::symlink("..", mesh.data_dir().join("files/up")).unwrap();
    let lane = Lane::rest(&mesh).user("prowler").await;
    let paths = [
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "a/..%2f..%2fsecret.txt",
        "..%252fsecret.txt",
        "link.txt",
        "up/secret.txt",
        "..%5csecret.txt",
        "%2fetc%2fpasswd",
        "a%00b",
        "%c0%ae%c0%ae/secret.txt",
        "./secret.txt",
    ];
    let http = reqwest::Client::new();
    for path in paths {
        for method in ["GET", "PUT", "DELETE"] {
            // The raw target: a URL library would tidy the dots away.
            let (status, body) = raw(mesh.edge(), method, &format!("/v1/files/{path}"), lane.token()).await;
            // What is percent-encoded stays so in a path of several segments: a strange name inside the folder.
            assert!(status < 500, "{method} {path}: {status} {body}");
            assert!(!body.contains("TOP SECRET"), "{method} {path}");
        }
    }
    let found = http.get(format!("{}/v1/files:search?content=SECRET", mesh.edge())).send().await.unwrap();
    assert_eq!(found.json::<Value>().await.unwrap()["files"], json!([]));
    assert_eq!(std::fs::read_to_string(mesh.data_dir().join("secret.txt")).unwrap(), "TOP SECRET");
    let beside =
        std::fs::read_dir(mesh.data_dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let known = |name: &String| {
        name.contains(".db")
            || name.starts_with("log.")
            || ["files", "mesh.token", "secret.txt"].contains(&name.as_str())
    };
    assert_eq!(beside.filter(|name| !known(name)).collect::<Vec<_>>(), Vec::<String>::new());
}

/// One request as bytes on a socket: status and everything after it.
async fn raw(edge: &str, method: &str, target: &str, token: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(edge.trim_start_matches("http://")).await.unwrap();
    let length = if method == "PUT" { "content-length: 1\r\ncontent-type: text/plain\r\n" } else { "" };
    let body = if method == "PUT" { "x" } else { "" };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{length}\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_leaves_nothing() {
    let mesh = Mesh::start_with(Topology::OneProcess, &[("FILES__FILE_BYTES_MAX", "1000000")]).await;
    let (http, lane) = (reqwest::Client::new(), Lane::rest(&mesh).user("sender").await);
    let refused = upload(&http, &mesh, &lane, "big.bin", 4).send().await;
    if let Ok(response) = refused {
        assert_eq!(response.status(), 429, "RESOURCE_EXHAUSTED");
    }
    let broken = futures_util::stream::iter([Ok(vec![1; 1000]), Err(std::io::Error::other("cut"))]);
    let request = http.put(format!("{}/v1/files/cut.bin", mesh.edge())).bearer_auth(lane.token());
    assert!(
        request.header("content-type", "text/plain").body(reqwest::Body::wrap_stream(broken)).send().await.is_err()
    );
    let anonymous = http.put(format!("{}/v1/files/x.txt", mesh.edge())).body("x").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let names = std::fs::read_dir(mesh.data_dir().join("files"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> =
        names.filter(|name| name.contains("big") || name.contains("cut") || name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A reset stream looks like a complete one to a careless server: neither the edge nor the service may be that.
#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_upload_that_is_broken_off_leaves_nothing() {
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    let token = Lane::rest(&mesh).user("sender").await.token().to_owned();
    for (address, path) in [(mesh.edge(), "edge.bin"), (mesh.address("files"), "direct.bin")] {
        let mut client = FilesServiceClient::connect(address.to_owned()).await.unwrap();
        let content = HttpBody { data: vec![7; PIECE].into(), ..HttpBody::default() };
        let first = UploadFileRequest { path: path.to_owned(), content: Some(content) };
        let pieces = futures_util::stream::iter([first]).chain(futures_util::stream::pending());
        let mut request = tonic::Request::new(pieces);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let upload = tokio::time::timeout(Duration::from_millis(500), client.upload_file(request)).await;
        assert!(upload.is_err(), "it goes on until it is broken off");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!mesh.data_dir().join("files").join(path).exists(), "{path} passed for complete");
    }
    let hidden = std::fs::read_dir(mesh.data_dir().join("files")).unwrap().map(|entry| entry.unwrap().file_name());
    let hidden: Vec<_> = hidden.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}
