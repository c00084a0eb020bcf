//! Malla's edge: REST and gRPC in front of gRPC backends, on one port.
//!
//! It is built from descriptor bytes alone and names no message of the mesh, so it can stand in front of anyone's
//! backends. A request goes through the stages that `pipeline` puts in order:
//!
//! ```text
//! accept -> protocol -> route -> authenticate -> limit -> decode -> call -> encode -> respond
//! ```
//! Each stage is one module; each returns the next value or a `Rejection`, which `respond` alone turns into bytes.
//! gRPC requests are passed through (`grpc`), health and reflection answered by the edge (`own`, `health`), and its
//! few pages are in `pages`.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

mod accept;
mod authenticate;
mod call;
mod codec;
mod config;
mod decode;
mod edge;
mod encode;
mod grpc;
mod health;
mod limit;
mod load;
mod own;
mod pages;
mod pipeline;
mod protocol;
mod record;
mod rejection;
mod respond;
mod route;
mod status;

#[cfg(test)]
mod fixture;

pub use accept::serve;
pub use config::{Config, Enums, Json, Names};
pub use edge::{About, Edge, RouteRow};
pub use load::{Backend, LoadError};
