//! Where a service may be found, as settings say it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;
use serde::{Deserialize, Serialize};

/// Most addresses a setting may have.
const ADDRESSES_MAX: usize = 64;
const PORT: u16 = 80;

/// One or more addresses of a service, `http://host:port`, with commas between. A host is an IP address or a name; a
/// name stands for all its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Addresses(Vec<Authority>);

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be used; it may be http://host:port (no TLS yet), or up to {ADDRESSES_MAX} of them with commas between"
)]
pub struct AddressError(String);

#[derive(Deserialize)]
#[serde(untagged, expecting = "it may be http://host:port, or a list of them")]
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
        let addresses = text.split(',').map(|part| authority(part.trim())).collect::<Option<Vec<_>>>();
        let few = addresses.filter(|addresses| addresses.len() <= ADDRESSES_MAX);
        few.map(Self).ok_or_else(|| AddressError(text.to_owned()))
    }
}

fn authority(text: &str) -> Option<Authority> {
    let uri = Uri::try_from(text).ok()?;
    let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    uri.into_parts().authority.filter(|authority| plain && !authority.host().is_empty())
}

impl From<Addresses> for String {
    fn from(addresses: Addresses) -> Self {
        let texts: Vec<String> = addresses.0.iter().map(|authority| format!("http://{authority}")).collect();
        texts.join(",")
    }
}

impl Addresses {
    /// Each host as the setting has it.
    pub(crate) fn hosts(&self) -> &[Authority] {
        &self.0
    }

    /// All of them, when none is a name.
    pub(crate) fn literal(&self) -> Option<Vec<(SocketAddr, Authority)>> {
        let literal =
            |authority: &Authority| Some((SocketAddr::new(ip(authority)?, port(authority)), authority.clone()));
        self.0.iter().map(literal).collect()
    }
}

/// The host as an IP address, if it is one.
fn ip(authority: &Authority) -> Option<IpAddr> {
    authority.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

pub(crate) fn port(authority: &Authority) -> u16 {
    authority.port_u16().unwrap_or(PORT)
}

#[cfg(test)]
mod tests;
