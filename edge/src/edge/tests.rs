use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use malla_runtime::codec::BytesCodec;
use tonic::transport::Endpoint;

use crate::fixture;

/// The backend is tonic's, which takes a request that is reset with CANCEL for whole.
#[tokio::test]
async fn in_someone_elses_server_a_cancelled_upload_is_cut() {
    let (edge, mut told) = fixture::bare_echo().await;
    let address = fixture::bare(edge).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let pieces = stream::iter([Bytes::from_static(b"\x0a\x01a")]).chain(stream::pending());
    let mut request = tonic::Request::new(pieces);
    let cancel = request.cancellation_handle();
    let mut client = tonic::client::Grpc::new(channel);
    let uploading = tokio::spawn(async move {
        client.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/test.v1.EchoService/Upload");
        client.client_streaming(request, path, BytesCodec).await.map(drop)
    });
    assert_eq!(told.recv().await, Some("begun"));
    cancel.cancel();
    let fate = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
    assert_eq!(fate, Ok(Some("cut")));
    assert!(uploading.await.unwrap().is_err());
}
