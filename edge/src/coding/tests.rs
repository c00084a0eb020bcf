use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::Full;

use super::*;
use crate::Config;
use crate::encode::Answer;
use crate::fixture::{config, edge, send};

fn map(name: header::HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

fn body(data: impl Into<Bytes>) -> Body {
    Body::new(Full::new(data.into()))
}

async fn pack(coding: Coding, data: &[u8]) -> Bytes {
    let data = Bytes::copy_from_slice(data);
    let Coding::Zlib = coding else { return packed(coding, &data).await.unwrap() };
    let mut packed = Vec::new();
    let mut encoder = async_compression::tokio::bufread::ZlibEncoder::new(io::Cursor::new(data));
    encoder.read_to_end(&mut packed).await.unwrap();
    packed.into()
}

async fn unpack(names: &str, data: Bytes, bytes_max: u64) -> Result<Bytes, Status> {
    let decoded = decoded(&map(header::CONTENT_ENCODING, names), body(data), bytes_max).unwrap();
    decoded.collect().await.map(http_body_util::Collected::to_bytes)
}

#[tokio::test]
async fn what_was_encoded_is_decoded() {
    let text = b"beer ".repeat(10_000);
    for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip, Coding::Zlib] {
        let packed = pack(coding, &text).await;
        assert!(packed.len() < 1_000, "{coding:?}");
        let cut = packed.slice(..packed.len() - 3);
        assert_eq!(unpack(coding.name(), packed, 1 << 20).await.unwrap(), text, "{coding:?}");
        assert!(unpack(coding.name(), cut, 1 << 20).await.is_err(), "{coding:?}: cut off");
    }
    let twice = pack(Coding::Brotli, &pack(Coding::Gzip, &text).await).await;
    assert_eq!(unpack("gzip, identity, BR", twice, 1 << 20).await.unwrap(), text, "as they were applied");
    let members = [pack(Coding::Gzip, b"a").await, pack(Coding::Gzip, b"b").await].concat();
    assert_eq!(unpack("x-gzip", members.into(), 1 << 20).await.unwrap(), "ab");
}

#[tokio::test]
async fn nothing_grows_beyond_all_measure() {
    let zeros = pack(Coding::Gzip, &vec![0; 1 << 20]).await;
    let nested = pack(Coding::Gzip, &vec![0; 64 << 10].repeat(2)).await;
    let noise: Vec<u8> = (0..20_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mixed = [pack(Coding::Gzip, &noise).await, zeros.clone()].concat();
    for (names, data, taken) in [
        ("gzip", pack(Coding::Gzip, &[0; 64 << 10]).await, true),
        ("gzip", zeros.clone(), false),
        // As long as what came before makes up for it.
        ("gzip", mixed.into(), true),
        ("gzip, zstd", pack(Coding::Zstd, &nested).await, false),
        ("gzip, zstd", pack(Coding::Zstd, &zeros.repeat(100)).await, false),
        // Nothing at all in the end.
        ("gzip, zstd", pack(Coding::Zstd, &pack(Coding::Gzip, b"").await.repeat(9_000)).await, false),
    ] {
        let unpacked = unpack(names, data, 1 << 30).await.map(|data| data.len()).map_err(|status| status.code());
        assert_eq!(unpacked.is_ok(), taken, "{names}: {unpacked:?}");
        assert!(taken || unpacked == Err(Code::ResourceExhausted), "{names}: {unpacked:?}");
    }
    let asked = Request::post("/v1/echo").header("host", "test").header("content-encoding", "gzip");
    let refused = send(&edge(config()), asked.body(body(zeros)).unwrap()).await;
    assert_eq!(refused.status(), 413);
    let told = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&told).contains("more than 100 times as long decoded as it came"), "{told:?}");
}

#[tokio::test]
async fn nothing_follows_what_was_encoded() {
    for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip, Coding::Zlib] {
        let data = [pack(coding, b"beer").await.as_ref(), b"junk"].concat();
        let refused = unpack(coding.name(), data.into(), 1 << 20).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{coding:?}");
    }
    let empty = pack(Coding::Gzip, b"").await;
    for (members, taken) in [(10_000, true), (10_001, false)] {
        assert_eq!(unpack("gzip", empty.repeat(members).into(), 1 << 20).await.is_ok(), taken, "{members} members");
    }
}

#[test]
fn clients_say_what_they_like() {
    for (header, expected) in [
        ("gzip", Some(Coding::Gzip)),
        ("gzip, br, zstd", Some(Coding::Zstd)),
        ("gzip;q=1, br;q=0.9", Some(Coding::Gzip)),
        ("gzip; q=0, *", Some(Coding::Zstd)),
        ("*;q=0.5", Some(Coding::Zstd)),
        ("zstd;q=0, *;q=0.1", Some(Coding::Brotli)),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", Some(Coding::Gzip)),
        ("deflate", None),
        ("gzip;q=0", None),
        ("", None),
    ] {
        assert_eq!(accepted(&map(header::ACCEPT_ENCODING, header)), expected, "{header}");
    }
}

async fn ask(accept: &str, uri: &str) -> http::Response<Body> {
    let edge = edge(Config { compress_bytes_min: 100, ..config() });
    let request = Request::get(uri).header("host", "test").header("accept-encoding", accept);
    send(&edge, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn only_text_that_is_worth_it_is_encoded() {
    let long = format!("/v1/echo/{}", "a".repeat(100));
    for (accept, uri, coding, varies) in [
        ("br, gzip;q=0.5", long.as_str(), Some("br"), true),
        ("zstd", &long, Some("zstd"), true),
        ("identity", &long, None, true),
        ("gzip", "/v1/echo/a", None, false),
        ("gzip", "/v1/count/3", Some("gzip"), true),
        ("gzip", "/-/status.js", Some("gzip"), true),
        ("gzip", "/openapi.json", Some("gzip"), true),
        ("br", "/openapi.yaml", Some("br"), true),
        ("identity", "/openapi.yaml", None, true),
    ] {
        let response = ask(accept, uri).await;
        let headers = response.headers();
        let told = headers.get(header::CONTENT_ENCODING).map(|coding| coding.to_str().unwrap().to_owned());
        assert_eq!((told.as_deref(), headers.contains_key(header::VARY)), (coding, varies), "{accept} {uri}");
    }
    let image = Answer::full(StatusCode::OK, HeaderValue::from_static("image/png"), vec![0; 10_000]);
    assert!(encoded(image, Some(Coding::Gzip), 0).headers.get(header::CONTENT_ENCODING).is_none());
}

#[tokio::test]
async fn an_encoded_answer_is_the_answer() {
    let long = format!("/v1/echo/{}", "a".repeat(100));
    let response = ask("gzip", &long).await;
    let data = response.into_body().collect().await.unwrap().to_bytes();
    let text = unpack("gzip", data, 1 << 20).await.unwrap();
    assert_eq!(text, format!("{{\"id\":\"{}\"}}", "a".repeat(100)));
}

#[tokio::test]
async fn each_message_of_a_stream_is_sent_at_once() {
    for coding in Coding::WRITTEN {
        let mut response = ask(coding.name(), "/v1/count/1?id=quiet").await;
        let mut data = Vec::new();
        let expected = b"[{\"i32\":1}";
        let whole = async {
            while decoded_so_far(coding, &data).await != expected {
                data.extend(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap());
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), whole).await.unwrap();
    }
}

async fn decoded_so_far(coding: Coding, data: &[u8]) -> Vec<u8> {
    let chunks = stream::iter([Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(data)))]).chain(stream::pending());
    let headers = map(header::CONTENT_ENCODING, coding.name());
    let mut decoded = decoded(&headers, Body::new(StreamBody::new(chunks)), 1 << 20).unwrap();
    let mut text = Vec::new();
    while let Some(Some(Ok(frame))) = futures_util::FutureExt::now_or_never(decoded.frame()) {
        text.extend(frame.into_data().unwrap());
    }
    text
}

/// A frame of `blocks` blocks, each of which says "128 KiB of zeros" in four bytes (RFC 8878 3.1.1), with one that is as
/// long as it says behind each.
fn zstd_of_zeros(blocks: usize, plain_bytes: usize) -> Vec<u8> {
    let head =
        |length: usize, kind: usize, is_last: bool| (length << 3 | kind << 1 | usize::from(is_last)).to_le_bytes();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    for at in 1..=blocks {
        frame.extend(&head(128 << 10, 1, false)[..3]);
        frame.push(0);
        frame.extend(&head(plain_bytes, 0, at == blocks)[..3]);
        frame.resize(frame.len() + plain_bytes, 0);
    }
    frame
}

/// The most memory the process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn bombs_are_refused_and_cost_nothing() {
    let edge = edge(config());
    let zstd = zstd_of_zeros(4_096, 0);
    assert!(zstd.len() < 29 << 10, "28 KiB that are 512 MiB");
    let large = zstd_of_zeros(4_096, 2 << 10);
    let zeros = pack(Coding::Gzip, &vec![0; 16 << 20]).await;
    let gzip: Vec<u8> = zeros.repeat(32);
    let nested = pack(Coding::Gzip, &gzip).await;
    assert!(nested.len() < 17 << 10, "{} bytes that are 512 MiB", nested.len());
    let before = peak();
    for (coding, bomb) in [("zstd", zstd.into()), ("zstd", large.into()), ("gzip, gzip", nested)] {
        for (method, uri) in [("POST", "/v1/echo"), ("PUT", "/v1/files/a")] {
            let request = Request::builder().method(method).uri(uri).header("host", "test");
            let request = request.header("content-encoding", coding).body(body(Bytes::clone(&bomb))).unwrap();
            assert_eq!(send(&edge, request).await.status(), 413, "{coding} {uri}");
        }
    }
    let grown = peak() - before;
    assert!(grown < 48 << 20, "{} MiB", grown >> 20);
}

#[tokio::test]
async fn uploads_are_decoded_at_constant_memory() {
    let edge = edge(Config { upload_bytes_max: 1 << 30, ..config() });
    let before = peak();
    let request = Request::put("/v1/files/a").header("host", "test").header("content-encoding", "zstd");
    let response = send(&edge, request.body(body(zstd_of_zeros(1_024, 2 << 10))).unwrap()).await;
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["i64"], (130_u64 << 20).to_string());
    let grown = peak() - before;
    assert!(grown < 48 << 20, "{} MiB", grown >> 20);
}
