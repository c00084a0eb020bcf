use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::prelude::*;
use tonic::body::Body;

use super::*;
use crate::buffered::Budget;

/// All parts of a body that comes in pieces of `step` bytes.
async fn read(content_type: &str, body: &[u8], step: usize) -> Result<Vec<(Part, Vec<u8>)>, String> {
    let pieces: Vec<_> = body.chunks(step).map(Bytes::copy_from_slice).collect();
    let body = stream::iter(pieces).map(|piece| Ok::<_, Status>(Frame::data(piece)));
    let message = |rejection: Rejection| rejection.status.message().to_owned();
    let (body, head) = (Body::new(StreamBody::new(body)), Request::new(()).into_parts().0);
    let buffered = Budget::new(1 << 20).begin(&head);
    let reader = BodyReader::new(body, 1 << 20, Duration::from_secs(5), &buffered).map_err(message)?;
    let mut multipart = Multipart::new(content_type, reader, 1 << 20).map_err(message)?;
    let mut parts = Vec::new();
    while let Some(part) = multipart.part().await.map_err(message)? {
        let mut data = Vec::new();
        while let Some(chunk) = multipart.next().await.map_err(message)? {
            data.extend(chunk);
        }
        parts.push((part, data));
    }
    Ok(parts)
}

#[tokio::test]
async fn parts_are_found_however_they_come() {
    let body = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b  \r\n\
        content-type: image/png\r\ncontent-disposition: form-data; filename=\"x;=\\\".png\"; name=\"f%22\"\r\n\r\n\
        \r\n--\r\n-b\r\n\r\n--b\r\ncontent-disposition: form-data; name=empty\r\n\r\n\r\n--b--\r\nepilogue";
    let part = |name: &str, is_file, content_type: &str| Part {
        name: name.into(),
        is_file,
        content_type: content_type.into(),
    };
    let expected = vec![
        (part("a", false, ""), b"1".to_vec()),
        (part("f\"", true, "image/png"), b"\r\n--\r\n-b\r\n".to_vec()),
        (part("empty", false, ""), Vec::new()),
    ];
    for step in [1, 2, 7, 10_000] {
        for content_type in ["multipart/form-data; boundary=b", "multipart/form-data; charset=x; Boundary=\"b\""] {
            assert_eq!(read(content_type, body, step).await.unwrap(), expected, "{step}");
        }
    }
}

/// Backslashes as browsers leave them (HTML, 4.10.21.8), and as other clients put them (RFC 2183, 2).
#[test]
fn heads_are_read_as_they_are_written() {
    for (head, name, is_file) in [
        (r#"Content-Disposition: form-data; name="a\""#, r"a\", false),
        (r#"content-disposition: form-data; name="a\"; filename="x\""#, r"a\", true),
        (r#"content-disposition: form-data; filename="C:\x\"; name="a\b""#, r"a\b", true),
        (r#"content-disposition: form-data; name="a\"b\"c""#, r#"a"b"c"#, false),
        (r#"content-disposition: form-data; name="a\";b""#, r#"a";b"#, false),
        (r#"content-disposition: form-data; name="a\\b""#, r"a\\b", false),
        (r#"content-disposition: form-data; name="a%22b%0D%0A""#, "a\"b\r\n", false),
        (r#"Content-Disposition: Form-Data ;Name=a"#, "a", false),
        ("content-disposition: form-data; name=a\r\ncontent-transfer-encoding: 8BIT", "a", false),
    ] {
        let part = head_of(format!("\r\n{head}").as_bytes()).map_err(|rejection| rejection.status);
        let part = part.unwrap_or_else(|status| panic!("{head}: {status}"));
        assert_eq!((part.name.as_str(), part.is_file), (name, is_file), "{head}");
    }
    for (content_type, is_text, is_json) in [
        ("", true, false),
        ("Text/Plain; charset=utf-8", true, false),
        ("text/plainly", false, false),
        ("Application/JSON", false, true),
    ] {
        let part = Part { name: String::new(), is_file: false, content_type: content_type.into() };
        assert_eq!((part.is_text(), part.is_json()), (is_text, is_json), "{content_type}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_refused() {
    let part = "--b\r\ncontent-disposition: form-data; name=a\r\n";
    for (body, problem) in [
        (String::new(), "it ends before its last boundary"),
        (format!("{part}\r\n1"), "it ends before its last boundary"),
        (format!("{part}\r\n1\r\n--b"), "it ends before its last boundary"),
        (
            format!("{part}content-transfer-encoding: base64\r\n\r\nMQ==\r\n--b--"),
            "parts may not have a Content-Transfer-Encoding",
        ),
        ("--b\r\n\r\n1\r\n--b--".to_owned(), "a part has no name"),
        ("--bad\r\n\r\n1\r\n--b--".to_owned(), "a boundary is followed by something else"),
        (format!("--b\r\nx: {}", "a".repeat(9_000)), "a part's head is too long"),
        (format!("{}--b--", format!("{part}\r\n\r\n").repeat(1_001)), "it has more than 1000 parts"),
    ] {
        let refused = read("multipart/form-data; boundary=b", body.as_bytes(), 50).await;
        assert_eq!(refused, Err(format!("malformed multipart/form-data: {problem}")), "{body:.80}");
    }
    assert!(read("multipart/form-data", b"", 1).await.is_err());
}

#[tokio::test]
async fn heads_are_as_long_as_they_may_however_they_come() {
    let with = |bytes: usize| {
        let head = "\r\ncontent-disposition: form-data; name=a\r\nx: ";
        format!("--b{head}{}\r\n\r\n\r\n--b--", "x".repeat(bytes - head.len()))
    };
    for (bytes, taken) in [(8 << 10, true), ((8 << 10) + 1, false)] {
        for step in [1, 5, 10_000] {
            let parts = read("multipart/form-data; boundary=b", with(bytes).as_bytes(), step).await;
            assert_eq!(parts.is_ok(), taken, "{bytes} in steps of {step}");
        }
    }
    let data = format!("--b\r\ncontent-disposition: form-data; name=a\r\n\r\n{}\r\n--b--", "x".repeat(160 << 10));
    let heads = with(8 << 10).replace("--b--", "").repeat(20) + "--b--";
    let [data, heads] = [data, heads].map(async |body| {
        let begun = Instant::now();
        read("multipart/form-data; boundary=b", body.as_bytes(), 1).await.unwrap();
        begun.elapsed()
    });
    let (data, heads) = (data.await, heads.await);
    assert!(heads < data * 4, "{heads:?}, where as much data takes {data:?}");
}

proptest! {
    #[test]
    fn any_data_comes_through(data in "[\r\n\\-b]{0,40}", step in 1_usize..9) {
        prop_assume!(!format!("\r\n{data}").contains("\r\n--bb"));
        let body = format!("--bb\r\ncontent-disposition: form-data; name=a\r\n\r\n{data}\r\n--bb--");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parts = runtime.block_on(read("multipart/form-data; boundary=bb", body.as_bytes(), step)).unwrap();
        prop_assert_eq!(&parts[0].1, data.as_bytes());
    }
}
