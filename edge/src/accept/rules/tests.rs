use http::Request;

use super::*;

fn status(request: http::request::Builder) -> u16 {
    let head = request.body(()).unwrap().into_parts().0;
    check(&Config::default(), &head).map_or_else(|rejection| rejection.http.as_u16(), |()| 200)
}

#[test]
fn one_valid_host() {
    let get = || Request::get("/");
    assert_eq!(status(get()), 400);
    assert_eq!(status(get().header("host", "a").header("host", "a")), 400);
    for (host, expected) in [("a:80", 200), ("[::1]:80", 200), ("", 200), ("a b", 400), ("a/b", 400), ("u@a", 400)] {
        assert_eq!(status(get().header("host", host)), expected, "{host:?}");
    }
    assert_eq!(status(get().version(Version::HTTP_2)), 200);
    assert_eq!(status(get().version(Version::HTTP_10)), 200);
}

#[test]
fn transfer_encoding_is_exactly_chunked() {
    for (encoding, expected) in [("chunked", 200), ("Chunked", 200), ("identity, chunked", 400), ("gzip", 400)] {
        let request = Request::post("/").header("host", "a").header("transfer-encoding", encoding);
        assert_eq!(status(request), expected, "{encoding}");
    }
}

#[test]
fn methods_and_targets_have_limits() {
    assert_eq!(status(Request::builder().method("TRACE").uri("/").header("host", "a")), 405);
    assert_eq!(status(Request::get(format!("/{}", "a".repeat(8 << 10))).header("host", "a")), 414);
}
