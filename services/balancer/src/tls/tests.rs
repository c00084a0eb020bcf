//! What settings may say. Handshakes are tried where there are servers: in the edge's tests of upstreams.

use super::*;

/// Certificates are read as they are, not looked into: any bytes will do where it is only about files.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

#[test]
fn settings_that_cannot_be_used_are_named() {
    let dir = std::env::temp_dir().join(format!("malla-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).unwrap();
        Some(dir.join(name))
    };
    let (bad, empty) = (file("bad.pem", PEM), file("empty.pem", "nothing\n"));
    let none = Some(dir.join("none.pem"));
    let files = TlsFiles::default;
    for (files, key, reason) in [
        (TlsFiles { ca_file: none.clone(), ..files() }, "ca_file", "No such file"),
        (TlsFiles { ca_file: empty.clone(), ..files() }, "ca_file", "it has no certificate"),
        (TlsFiles { ca_file: bad.clone(), ..files() }, "ca_file", ""),
        (TlsFiles { client_cert_file: bad.clone(), ..files() }, "client_cert_file", "client_key_file is missing"),
        (TlsFiles { client_key_file: bad.clone(), ..files() }, "client_key_file", "client_cert_file is missing"),
        (
            TlsFiles { client_cert_file: empty, client_key_file: bad.clone(), ..files() },
            "client_cert_file",
            "it has no certificate",
        ),
        (
            TlsFiles { client_cert_file: bad.clone(), client_key_file: none, ..files() },
            "client_key_file",
            "No such file",
        ),
        (TlsFiles { server_name: Some("not a name".into()), ..files() }, "server_name", "a DNS name or an IP address"),
    ] {
        let error = Tls::read(&files).expect_err(key);
        assert!(error.key == key && error.reason.contains(reason), "{files:?}: {error}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
