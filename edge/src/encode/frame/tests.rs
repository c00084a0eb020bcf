use http::header;

use super::*;

fn whole(format: Format, elements: &[&str], error: Option<&str>) -> String {
    let mut bytes = format.open().to_vec();
    for (at, element) in elements.iter().enumerate() {
        bytes.extend(format.element(element.as_bytes(), "", at == 0));
    }
    if let Some(error) = error {
        bytes.extend(format.error(error.as_bytes(), elements.is_empty()));
    }
    bytes.extend(format.close());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn layouts() {
    assert_eq!(whole(Format::Array, &[], None), "[]");
    assert_eq!(whole(Format::Array, &["1", "2"], None), "[1,2]");
    assert_eq!(whole(Format::Lines, &["1", "2"], None), "1\n2\n");
    assert_eq!(whole(Format::Events, &["1"], None), ":\n\ndata: 1\n\n");
}

#[test]
fn ids_are_for_events_alone() {
    let with = |format: Format, id| String::from_utf8(format.element(b"1", id, true).to_vec()).unwrap();
    assert_eq!(with(Format::Events, "7"), "id: 7\ndata: 1\n\n");
    assert_eq!(with(Format::Events, "7\ndata: x"), "data: 1\n\n");
    assert_eq!((with(Format::Lines, "7"), with(Format::Array, "7")), ("1\n".to_owned(), "1".to_owned()));
}

#[test]
fn errors_are_a_last_element() {
    assert_eq!(whole(Format::Array, &["1"], Some(r#"{"error":{}}"#)), r#"[1,{"error":{}}]"#);
    assert_eq!(whole(Format::Array, &[], Some(r#"{"error":{}}"#)), r#"[{"error":{}}]"#);
    assert_eq!(whole(Format::Lines, &["1"], Some(r#"{"error":{}}"#)), "1\n{\"error\":{}}\n");
    assert_eq!(whole(Format::Events, &[], Some(r#"{"error":{}}"#)), ":\n\nevent: error\ndata: {\"error\":{}}\n\n");
}

#[test]
fn accept_chooses() {
    for (accept, expected) in [
        ("*/*", Format::Array),
        ("application/json", Format::Array),
        ("application/x-ndjson", Format::Lines),
        ("text/html, text/event-stream;q=0.9", Format::Events),
        ("", Format::Array),
        ("TEXT/Event-Stream", Format::Events),
        ("text/event-stream, application/x-ndjson", Format::Events),
        ("text/event-stream;q=0.1, application/json", Format::Array),
        ("application/json;q=0.1, text/event-stream;q=0.2", Format::Events),
        ("text/event-stream;q=0.5, */*", Format::Array),
        ("text/event-stream;q=0, */*", Format::Array),
        ("application/x-ndjson;q=0", Format::Array),
    ] {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(Format::of(&headers), expected, "{accept}");
    }
}
