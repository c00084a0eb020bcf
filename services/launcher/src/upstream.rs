//! The gRPC servers `malla edge` stands in front of, as the settings have them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use malla_edge::{ReadError, Upstream};
use malla_runtime::config::{Error, Settings};
use malla_runtime::link::{Addresses, Link, Tls, TlsError, TlsFiles};
use serde::{Deserialize, Serialize};

/// Section `[upstreams.NAME]`: a gRPC server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// `http://host:port` or, with TLS, `https://host:port`; or several that serve the same.
    address: Addresses,
    /// Full names of the services to serve. Default: all it has.
    #[serde(default)]
    pub(crate) services: Vec<String>,
    /// Files with its descriptors. Default: none, it is asked by server reflection.
    #[serde(default)]
    pub(crate) descriptors: Vec<PathBuf>,
    /// With TLS, a PEM file of the authorities that are trusted. Default: the machine's.
    ca_file: Option<PathBuf>,
    /// With TLS, the name its certificate has to have. Default: the host of its address.
    server_name: Option<String>,
    /// With TLS, a PEM file of the edge's own certificate, for a server that wants to know it. Default: none.
    client_cert_file: Option<PathBuf>,
    /// A PEM file of that certificate's key.
    client_key_file: Option<PathBuf>,
    /// What these files have.
    #[serde(skip)]
    tls: Option<Tls>,
}

/// The servers that settings name; where there are some, the settings are those of `malla edge`.
pub(crate) fn upstreams(settings: &Settings) -> Result<BTreeMap<String, Server>, Error> {
    settings.section("upstreams")
}

/// Why the files of descriptors that a setting names cannot be used.
pub(crate) fn unusable(key: &str, error: ReadError) -> anyhow::Error {
    match error {
        ReadError::File { path, error } => Error::invalid(key, path.display(), error.to_string()).into(),
        // What is declared is not the setting's fault.
        ReadError::Load(error) => error.into(),
        error => Error::Read { key: key.to_owned(), reason: error.to_string() }.into(),
    }
}

impl Server {
    /// One of the command line.
    pub(crate) fn new(address: Addresses, descriptors: Vec<PathBuf>, ca_file: Option<PathBuf>) -> Self {
        let services = Vec::new();
        let (server_name, client_cert_file, client_key_file, tls) = (None, None, None, None);
        Self { address, services, descriptors, ca_file, server_name, client_cert_file, client_key_file, tls }
    }

    /// Reads the files that TLS needs. `full` makes the whole key of a setting from its last part.
    ///
    /// # Errors
    /// A file or name that cannot be used, and any where there is no TLS.
    pub(crate) fn read_tls(&mut self, full: impl Fn(&str) -> String) -> Result<(), Error> {
        let files = TlsFiles {
            ca_file: self.ca_file.clone(),
            server_name: self.server_name.clone(),
            client_cert_file: self.client_cert_file.clone(),
            client_key_file: self.client_key_file.clone(),
        };
        if self.address.are_secure() {
            let unusable = |TlsError { key, value, reason }| Error::invalid(full(key), value, reason);
            self.tls = Some(Tls::read(&files).map_err(unusable)?);
        } else if let Some((key, value)) = files.first() {
            return Err(Error::invalid(full(key), value, "it is for https:// addresses only"));
        }
        Ok(())
    }

    /// The way to it. To be made within a runtime.
    pub(crate) fn upstream(self, name: String) -> Upstream {
        let link = Link::secured(&name, &self.address, self.tls);
        Upstream { name, services: self.services, descriptors: self.descriptors, link }
    }
}
