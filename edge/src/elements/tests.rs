use http::{HeaderName, HeaderValue};

use super::*;

fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
}

#[test]
fn lines_of_a_header_are_one_list() {
    let headers = headers(header::CONNECTION, &["close , x-a", "", ",Upgrade,"]);
    assert_eq!(of(&headers, header::CONNECTION).collect::<Vec<_>>(), ["close", "x-a", "Upgrade"]);
    assert_eq!(of(&headers, header::TE).count(), 0);
}

#[test]
fn weights_may_stand_anywhere() {
    let headers = headers(header::ACCEPT, &["a/b;q=0.5, c/d; v=1 ; Q = 0.2;x=y", "e/f; q=0,g/h;q=x, i/j;v=1"]);
    let weighted: Vec<_> = weighted(&headers, header::ACCEPT).collect();
    assert_eq!(weighted, [("a/b", 0.5), ("c/d", 0.2), ("e/f", 0.0), ("i/j", 1.0)]);
}

#[test]
fn media_types_have_no_case_and_no_parameters() {
    for (text, expected) in [("Text/HTML ; charset=UTF-8", "text/html"), ("a/b", "a/b"), ("", "")] {
        assert_eq!(essence(text), expected);
    }
}
