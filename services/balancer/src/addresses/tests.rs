use std::collections::BTreeMap;

use super::*;

fn written(text: &str) -> Result<String, AddressError> {
    text.parse::<Addresses>().map(String::from)
}

#[test]
fn one_or_several_addresses_are_read_and_written_alike() {
    assert_eq!(written("http://127.0.0.1:7108").unwrap(), "http://127.0.0.1:7108");
    assert_eq!(written(" http://a:1/ , http://[::1]:2").unwrap(), "http://a:1,http://[::1]:2");
    assert_eq!(written("https://a,https://b:2").unwrap(), "https://a,https://b:2");
    let listed: BTreeMap<String, Addresses> = toml::from_str("beers = [\"http://a:1\", \"http://b:2\"]").unwrap();
    let text: BTreeMap<String, Addresses> = toml::from_str("beers = \"http://a:1,http://b:2\"").unwrap();
    assert_eq!(listed, text);
    assert_eq!(toml::from_str::<BTreeMap<String, Addresses>>(&toml::to_string(&text).unwrap()).unwrap(), text);
}

#[test]
fn what_is_no_address_is_named() {
    let many = vec!["http://a:1"; ADDRESSES_MAX + 1].join(",");
    for bad in [
        "",
        "users:1",
        "grpc://a:1",
        "http://a:1,https://a:1",
        "https://a:1,http://a:1",
        "http://",
        "http://a:1/path",
        "http://a:1?q",
        "http://a:1,,http://b:1",
        &many,
    ] {
        let error = written(bad).expect_err(bad).to_string();
        assert!(error.contains("http://host:port"), "{error}");
    }
}

#[test]
fn only_ip_addresses_need_no_look_up() {
    let literal = |text: &str| text.parse::<Addresses>().unwrap().literal().map(|all| all.len());
    assert_eq!(literal("http://127.0.0.1:1,http://[::1]:2"), Some(2));
    assert_eq!(literal("http://127.0.0.1:1,http://beers.internal:2"), None);
    let port = |text: &str| text.parse::<Addresses>().unwrap().literal().unwrap()[0].0.port();
    assert_eq!(["http://[::1]", "https://127.0.0.1", "https://127.0.0.1:1"].map(port), [80, 443, 1]);
}
