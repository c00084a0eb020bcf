//! TLS to endpoints: who is trusted to be one, and how the client proves itself. HTTP/2 only, agreed upon by ALPN
//! (RFC 7301, RFC 9113 3.2).

mod last_words;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::uri::Authority;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
};

use last_words::LastWords;

const H2: &[u8] = b"h2";
const NO_H2: &str = "it does not speak HTTP/2 over TLS (ALPN \"h2\")";

/// What TLS to a service needs besides its addresses, as settings say it; all of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the authorities that are trusted. Default: the machine's.
    pub ca_file: Option<PathBuf>,
    /// The name the server's certificate has to have. Default: the host of its address.
    pub server_name: Option<String>,
    /// PEM file of the client's own certificate, with those between it and its authority. Default: none is shown.
    pub client_cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key_file: Option<PathBuf>,
}

impl TlsFiles {
    /// The first that is set, by its key.
    #[must_use]
    pub fn first(&self) -> Option<(&'static str, String)> {
        let shown = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
        let all = [
            ("ca_file", shown(&self.ca_file)),
            ("server_name", self.server_name.clone()),
            ("client_cert_file", shown(&self.client_cert_file)),
            ("client_key_file", shown(&self.client_key_file)),
        ];
        all.into_iter().find_map(|(key, value)| Some((key, value?)))
    }
}

/// A setting of [`TlsFiles`] that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {value:?} cannot be used; {reason}")]
pub struct TlsError {
    /// The field's name.
    pub key: &'static str,
    /// What it was.
    pub value: String,
    /// Why not, or what it may be.
    pub reason: String,
}

type Client<'f> = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, &'f Path);

/// How connections are secured; cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the machine's authorities (`SSL_CERT_FILE` names others). Where there are none, nobody is trusted.
    #[must_use]
    pub fn of_machine() -> Self {
        Self::new(builder().with_root_certificates(machine()).with_no_client_auth(), None)
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] for the first that cannot be used.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let parsed = |name: &String| {
            let reason = "it may be a DNS name or an IP address".to_owned();
            let unusable = TlsError { key: "server_name", value: name.clone(), reason };
            ServerName::try_from(name.clone()).map_err(|_| unusable)
        };
        let server_name = files.server_name.as_ref().map(parsed).transpose()?;
        let client = client(files)?;
        let authorities = match &files.ca_file {
            Some(file) => authorities(file)?,
            None => machine(),
        };
        if authorities.is_empty() {
            let reason = "this machine has no authorities to trust; name a PEM file of those that are".to_owned();
            return Err(TlsError { key: "ca_file", value: String::new(), reason });
        }
        let builder = builder().with_root_certificates(authorities);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((chain, key, file)) => {
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|error| unusable("client_key_file", file, &error))?
            }
        };
        Ok(Self::new(config, server_name))
    }

    fn new(mut config: ClientConfig, server_name: Option<ServerName<'static>>) -> Self {
        config.alpn_protocols = vec![H2.to_vec()];
        Self { config: Arc::new(config), server_name }
    }

    /// Makes a connection a secure one, to whoever has a certificate for the address as it is written.
    ///
    /// # Errors
    /// Why not, in words for an operator.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        to: &Authority,
    ) -> Result<LastWords<TlsStream<TcpStream>>, String> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => named(to).ok_or_else(|| format!("{} is no name a certificate could have", to.host()))?,
        };
        let connecting = TlsConnector::from(self.config.clone()).connect(name, stream);
        let stream = connecting.await.map_err(|error| in_words(&error))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(H2) => Ok(LastWords::new(stream)),
            _ => Err(NO_H2.to_owned()),
        }
    }
}

/// Names the provider: which one is the process's own is nobody's affair here.
fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.expect("the provider has suites for TLS 1.2 and 1.3")
}

fn named(authority: &Authority) -> Option<ServerName<'static>> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).ok()
}

/// The machine's authorities, those that can be read.
fn machine() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some authorities of this machine cannot be read");
    }
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    authorities
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates("ca_file", file)? {
        authorities.add(certificate).map_err(|error| unusable("ca_file", file, &error))?;
    }
    Ok(authorities)
}

/// The client's certificate and its key, and where that is from.
fn client(files: &TlsFiles) -> Result<Option<Client<'_>>, TlsError> {
    match (&files.client_cert_file, &files.client_key_file) {
        (None, None) => Ok(None),
        (Some(file), Some(key_file)) => {
            let chain = certificates("client_cert_file", file)?;
            let key = PrivateKeyDer::from_pem_file(key_file);
            let key = key.map_err(|error| unusable("client_key_file", key_file, &error))?;
            Ok(Some((chain, key, key_file)))
        }
        (Some(file), None) => Err(unusable("client_cert_file", file, &"client_key_file is missing")),
        (None, Some(file)) => Err(unusable("client_key_file", file, &"client_cert_file is missing")),
    }
}

/// The certificates of a PEM file; at least one.
fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unusable(key, file, &error))?;
    if certificates.is_empty() {
        return Err(unusable(key, file, &"it has no certificate; it may be a PEM file of certificates"));
    }
    Ok(certificates)
}

fn unusable(key: &'static str, file: &Path, reason: &dyn fmt::Display) -> TlsError {
    TlsError { key, value: file.display().to_string(), reason: reason.to_string() }
}

/// What kept a connection from being secured.
fn in_words(error: &io::Error) -> String {
    use CertificateError as Fault;
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else {
        return format!("the connection broke during the handshake: {error}");
    };
    match error {
        // By one of the same name as one that is trusted, the signature is wrong.
        rustls::Error::InvalidCertificate(Fault::UnknownIssuer | Fault::BadSignature) => {
            "its certificate is by an authority that is not trusted (ca_file names those that are)".to_owned()
        }
        rustls::Error::InvalidCertificate(Fault::NotValidForNameContext { expected, presented }) => {
            format!("its certificate is not for {:?} but for {}", expected.to_str(), presented.join(", "))
        }
        rustls::Error::InvalidCertificate(fault) => format!("its certificate is not valid: {fault}"),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => NO_H2.to_owned(),
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
