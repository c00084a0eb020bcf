use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&str, &str)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    pairs.iter().map(pair).collect()
}

#[test]
fn only_what_concerns_the_backend_becomes_metadata() {
    let received = map(&[
        ("host", "a"),
        ("connection", "x-hop, close"),
        ("x-hop", "1"),
        ("content-type", "application/json"),
        ("accept-language", "bg"),
        ("cookie", "a=b"),
        ("grpc-timeout", "1S"),
        ("te", "trailers"),
        ("user-agent", "curl"),
        ("authorization", "Bearer t"),
        ("x-custom", "1"),
        ("trace-bin", "AAEC"),
    ]);
    let metadata = to_metadata(&received, Some(([10, 0, 0, 1], 80).into())).unwrap();
    let mut names: Vec<&str> = metadata.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "trace-bin", "user-agent", "x-custom", "x-forwarded-for"]);
    assert_eq!(metadata["x-forwarded-for"], "10.0.0.1");
}

#[test]
fn nothing_of_grpc_leaks_to_http() {
    let metadata = map(&[
        ("grpc-status", "0"),
        ("grpc-accept-encoding", "gzip"),
        ("content-type", "application/grpc"),
        ("x-a", "1"),
    ]);
    let mut headers = HeaderMap::new();
    from_metadata(&metadata, &mut headers);
    assert_eq!(headers, map(&[("x-a", "1")]));
}

#[test]
fn preferred_wait_is_read_among_other_preferences() {
    assert_eq!(preferred_wait(&map(&[("prefer", "respond-async, wait=10")])), Some(Duration::from_secs(10)));
    for (prefer, seconds) in [
        ("Wait = \"7\"", Some(7)),
        ("wait=1, wait=2", Some(1)),
        ("foo; wait=10", None),
        ("wait=x, wait=2", None),
        ("wait", None),
    ] {
        assert_eq!(preferred_wait(&map(&[("prefer", prefer)])), seconds.map(Duration::from_secs), "{prefer}");
    }
    assert_eq!(preferred_wait(&HeaderMap::new()), None);
}

#[test]
fn the_shortest_timeout_counts() {
    for (headers, expected) in [
        (&[("grpc-timeout", "2S")][..], Some(2_000)),
        (&[("connect-timeout-ms", "1500")], Some(1_500)),
        (&[("x-server-timeout", "0.25")], Some(250)),
        (&[("prefer", "wait=3"), ("x-server-timeout", "4"), ("grpc-timeout", "5S")], Some(3_000)),
        (&[("x-server-timeout", "-1"), ("connect-timeout-ms", "x"), ("grpc-timeout", "5")], None),
        (&[("x-server-timeout", "NaN")], None),
        (&[("x-server-timeout", "1e300")], None),
    ] {
        assert_eq!(asked_timeout(&map(headers)), expected.map(Duration::from_millis), "{headers:?}");
    }
}

#[test]
fn binary_metadata_is_base64_without_padding() {
    for (sent, passed) in
        [("AAE=", Some(&["AAE"][..])), ("AAE", Some(&["AAE"])), ("AAE=, AAEC", Some(&["AAE", "AAEC"])), ("?", None)]
    {
        let metadata = to_metadata(&map(&[("trace-bin", sent)]), None).ok();
        let values = metadata.map(|metadata| metadata.get_all("trace-bin").iter().cloned().collect::<Vec<_>>());
        assert_eq!(values, passed.map(|values| values.iter().map(|value| value.parse().unwrap()).collect()), "{sent}");
    }
    let mut latin = HeaderMap::new();
    latin.insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    assert_eq!(to_metadata(&latin, None).unwrap_err().http, StatusCode::BAD_REQUEST);
}

#[test]
fn backends_choose_among_answers_statuses() {
    for (code, expected) in
        [("200", true), ("304", true), ("599", true), ("199", false), ("600", false), ("2x0", false), ("", false)]
    {
        assert_eq!(status(&map(&[(HTTP_CODE, code)])).is_some(), expected, "{code}");
    }
}
