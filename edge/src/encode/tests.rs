use crate::fixture::{config, edge, send};

use super::*;

#[tokio::test]
async fn unwrapped_lists_link_to_their_next_page() {
    let edge = edge(config());
    for (uri, expected) in [
        (
            "/v1/echo/a/tags?tags=x%20y&page_token=old&next_page_token=t%2F1",
            Some("</v1/echo/a/tags?tags=x%20y&next_page_token=t%2F1&page_token=t%2F1>; rel=\"next\""),
        ),
        ("/v1/echo/a/tags?tags=x", None),
        ("/v1/echo/a?next_page_token=t", None),
        ("/v1/echo/a/sub?next_page_token=t", None),
    ] {
        let request = http::Request::get(uri).header("host", "test").body(Body::empty()).unwrap();
        let response = send(&edge, request).await;
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap());
        assert_eq!((response.status().as_u16(), link), (200, expected), "{uri}");
    }
}
