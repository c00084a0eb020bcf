use super::*;

#[test]
fn a_client_is_an_address_or_a_network_of_ipv6() {
    let rows = [
        ("10.0.0.1", Some("10.0.0.1")),
        ("::ffff:10.0.0.1", Some("10.0.0.1")),
        ("2001:db8::1", Some("2001:db8::")),
        ("2001:db8:0:1::1", Some("2001:db8:0:1::")),
        ("10.0.0.1, 10.0.0.2", None),
        ("unknown", None),
    ];
    for (sent, expected) in rows {
        let headers = HeaderMap::from_iter([(FORWARDED_FOR, sent.parse().expect("a value"))]);
        assert_eq!(of(&headers), expected.map(|client| client.parse().expect("an address")), "{sent}");
    }
    assert_eq!(of(&HeaderMap::new()), None);
}
