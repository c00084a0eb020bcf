//! Whose a call is where nobody has said who they are: the address it came from.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

/// Where the edge writes its client's address. It drops what clients send by that name, so a service believes it; none is
/// there on the mesh's own calls.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of the edge that a call comes from.
#[must_use]
pub fn of(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(FORWARDED_FOR)?.to_str().ok()?.parse().ok().map(network)
}

/// What counts as one client. One subscriber of IPv6 has 2^64 addresses to call from, so there the network does.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests;
