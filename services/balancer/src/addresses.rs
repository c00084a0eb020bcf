//! Where a service may be found, as settings say it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};
use serde::{Deserialize, Serialize};

/// Most addresses a setting may have.
const ADDRESSES_MAX: usize = 64;
/// The port where none is written, without TLS and with it.
const PORTS: [u16; 2] = [80, 443];

/// One or more addresses of a service, `http://host:port` or all of them `https://host:port`, with commas between. A host
/// is an IP address or a name; a name stands for all its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Addresses {
    hosts: Vec<Authority>,
    secure: bool,
}

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be used; it may be http://host:port or https://host:port, or up to {ADDRESSES_MAX} of one kind with commas between"
)]
pub struct AddressError(String);

#[derive(Deserialize)]
#[serde(untagged, expecting = "it may be http://host:port, https://host:port, or a list of either")]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<Written> for Addresses {
    type Error = AddressError;

    fn try_from(written: Written) -> Result<Self, AddressError> {
        match written {
            Written::One(text) => text.parse(),
            Written::Several(texts) => texts.join(",").parse(),
        }
    }
}

impl FromStr for Addresses {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let secure = text.trim_start().starts_with("https:");
        let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
        let hosts = text.split(',').map(|part| authority(part.trim(), &scheme)).collect::<Option<Vec<_>>>();
        let few = hosts.filter(|hosts| hosts.len() <= ADDRESSES_MAX);
        few.map(|hosts| Self { hosts, secure }).ok_or_else(|| AddressError(text.to_owned()))
    }
}

fn authority(text: &str, scheme: &Scheme) -> Option<Authority> {
    let uri = Uri::try_from(text).ok()?;
    let bare = uri.scheme() == Some(scheme) && uri.path() == "/" && uri.query().is_none();
    uri.into_parts().authority.filter(|authority| bare && !authority.host().is_empty())
}

impl From<Addresses> for String {
    fn from(addresses: Addresses) -> Self {
        let scheme = if addresses.secure { Scheme::HTTPS } else { Scheme::HTTP };
        let texts: Vec<String> = addresses.hosts.iter().map(|authority| format!("{scheme}://{authority}")).collect();
        texts.join(",")
    }
}

impl Addresses {
    /// Whether connections to them have TLS.
    #[must_use]
    pub fn are_secure(&self) -> bool {
        self.secure
    }

    /// Each host as the setting has it, and its port.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&Authority, u16)> {
        self.hosts.iter().map(|host| (host, host.port_u16().unwrap_or(PORTS[usize::from(self.secure)])))
    }

    /// All of them, when none is a name.
    pub(crate) fn literal(&self) -> Option<Vec<(SocketAddr, Authority)>> {
        self.hosts().map(|(host, port)| Some((SocketAddr::new(ip(host)?, port), host.clone()))).collect()
    }
}

/// The host as an IP address, if it is one.
fn ip(authority: &Authority) -> Option<IpAddr> {
    authority.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests;
