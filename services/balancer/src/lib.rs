//! Calls of one gRPC service, spread over its endpoints: who there is ([`Addresses`]), who is well, who is quick.
//!
//! What decides is pure and takes the time as an argument (`table`, `latency`, `outliers`); what talks is apart from it
//! (`endpoint`, `health`, `resolve`). It sends a call again only when nobody can have seen it: whether a call may be
//! repeated is for those to say who know what it does.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

mod addresses;
mod balancer;
mod endpoint;
mod error;
mod follow;
mod health;
mod latency;
mod lent;
mod metrics;
mod outliers;
mod resolve;
mod table;
mod tls;

pub use addresses::{AddressError, Addresses};
pub use balancer::Balancer;
pub use endpoint::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
pub use error::Error;
pub use tls::{Tls, TlsError, TlsFiles};
