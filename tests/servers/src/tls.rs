//! Certificates for servers on this machine, by an authority of their own, and TLS for servers that have none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority, and the certificate of `localhost` and 127.0.0.1 by it. Gone when dropped.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes them anew with OpenSSL 3; `None`, loudly, where that is not installed.
    ///
    /// # Panics
    /// When they cannot be made, and where there is no OpenSSL under CI.
    #[must_use]
    pub fn make() -> Option<Self> {
        if !crate::has("openssl") {
            let skip = "SKIP: openssl is not installed; `make test-setup` does that";
            assert!(std::env::var_os("CI").is_none(), "{skip}");
            crate::say(skip);
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let authority = "-subj /CN=authority -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem";
        let server = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
            -addext basicConstraints=CA:FALSE -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem";
        for which in [authority, server] {
            let request = format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 {which}");
            let made = Command::new("openssl").args(request.split_whitespace()).current_dir(dir.path()).output();
            let made = made.expect("openssl runs");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Some(Self { dir })
    }

    /// The authority's certificate, which clients are to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The server's key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }
}

/// What a server with TLS insists on.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The protocols it speaks, by their ALPN names; none of them, and it does not ask.
    pub alpn: &'static [&'static str],
    /// Whether clients need a certificate of the authority.
    pub known_clients: bool,
}

impl Certificates {
    /// Puts a port with TLS in front of one without: what comes is passed on as it is, until the runtime ends.
    ///
    /// # Panics
    /// When the certificates cannot be used.
    pub async fn in_front_of(&self, to: SocketAddr, terms: Terms) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(self.config(terms)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut inner = TcpStream::connect(to).await?;
                    let mut stream = acceptor.accept(stream).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut inner).await
                });
            }
        });
        address
    }

    fn config(&self, terms: Terms) -> ServerConfig {
        let read = |file: PathBuf| -> Vec<_> {
            let certificates = CertificateDer::pem_file_iter(file).expect("a PEM file");
            certificates.map(|certificate| certificate.expect("a certificate")).collect()
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(read(self.authority()));
        let clients = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider.clone());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider has suites");
        let builder = match terms.known_clients {
            true => builder.with_client_cert_verifier(clients.build().expect("an authority")),
            false => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_file(self.key()).expect("a key");
        let mut config = builder.with_single_cert(read(self.certificate()), key).expect("a certificate and its key");
        config.alpn_protocols = terms.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}
