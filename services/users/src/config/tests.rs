use super::*;

#[test]
fn the_default_is_valid_and_what_is_out_of_range_is_refused_by_its_key() {
    assert!(Config::default().check().is_ok());
    type Change = fn(&mut Config);
    let rows: [(&str, Change); 7] = [
        ("users.token_ttl_s", |config| config.token_ttl_s = 59),
        ("users.logins_waiting_max", |config| config.logins_waiting_max = 1_001),
        ("users.registrations_waiting_max", |config| config.registrations_waiting_max = 1_001),
        ("users.hash_wait_ms", |config| config.hash_wait_ms = 10_001),
        ("users.failed_logins_per_ip_max", |config| config.failed_logins_per_ip_max = 0),
        ("users.throttled_names_max", |config| config.throttled_names_max = 0),
        ("users.database.connections_max", |config| config.database.connections_max = 0),
    ];
    for (key, change) in rows {
        let mut config = Config::default();
        change(&mut config);
        let error = config.check().expect_err(key).to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
    }
}
