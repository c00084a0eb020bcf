use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::Value;
use tonic::body::Body;

use crate::Config;
use crate::fixture::{config, edge, remote, send};

use super::*;

fn put(
    pieces: impl IntoIterator<Item = Result<Frame<Bytes>, Status>, IntoIter: Send + 'static>,
) -> http::Request<Body> {
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    http::Request::put("/v1/files/a").header("host", "test").body(body).unwrap()
}

fn data(bytes: usize) -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from(vec![7; bytes])))
}

async fn json(response: http::Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_complete_to_its_backend() {
    let (edge, mut told) = remote(config()).await;
    for _ in 0..20 {
        let cut = put([data(200_000), Err(Status::cancelled("cut off"))]);
        assert_eq!(send(&edge, cut).await.status(), 400);
        assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("cut")));
    }
    assert_eq!(send(&edge, put((0..100).map(|_| data(100_000)))).await.status(), 413);
    assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("cut")));

    let (status, body) = json(send(&edge, put([data(200_000)])).await).await;
    assert_eq!((status, body["i64"].as_str()), (200, Some("200000")));
    assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("complete")));
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_the_clients_fault() {
    let edge = edge(Config { message_bytes_max: 16, ..config() });
    for uri in ["/v1/echo/a-name-of-more-than-sixteen-bytes", "/v1/fail/11"] {
        let request = http::Request::get(uri).header("host", "test").body(Body::empty()).unwrap();
        let (status, body) = json(send(&edge, request).await).await;
        let expected =
            if uri.contains("fail") { (400, "failed as asked") } else { (500, "the backend's answer is too large") };
        assert_eq!((status, body["message"].as_str().unwrap()), expected, "{uri}");
    }
}
