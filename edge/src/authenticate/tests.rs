use super::*;

#[test]
fn forged_headers_are_dropped_on_every_lane() {
    let names =
        ["malla-mesh-token", "x-forwarded-for", "x-user-id", "x-envoy-a", "forwarded", "x_forwarded_for", "x-a"];
    for (lane, kept) in [(Lane::Rest, &["x-a"][..]), (Lane::Grpc, &["x-a", "x_forwarded_for"])] {
        let mut headers: HeaderMap =
            names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1"))).collect();
        strip(&mut headers, lane);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, kept);
    }
}
