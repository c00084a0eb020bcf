//! Malla's edge: REST and gRPC in front of gRPC backends, on one port.
//!
//! It is built from descriptor bytes alone and names no message of the mesh, so it can stand in front of anyone's
//! backends. A request goes through the stages that `pipeline` puts in order:
//!
//! ```text
//! accept -> protocol -> route -> authenticate -> key -> limit -> decode -> call -> encode -> respond
//!                                                                      `-> defer ---^
//! ```
//! Each stage is one module; each returns the next value or a `Rejection`, which `respond` alone turns into bytes.
//! gRPC requests are passed through (`grpc`), health and reflection answered by the edge (`own`, `health`), and its
//! few pages are in `pages`. What a backend serves is known beforehand, or found out and followed by `upstream`.
//!
//! # Use
//! [`Edge`] is a tower service, which axum, hyper and tonic mount as it is, or [`serve`] on a port of its own. Its backends
//! are servers of this process ([`Backend::local`], no socket between) or elsewhere ([`Backend::remote`]), or are asked what
//! they serve ([`Upstream`], [`Follower`]). `edge/examples/axum` is a whole program.
//!
//! ```
//! use malla_edge::{Backend, Config, Edge, Errors};
//!
//! # let mut compiler = protox::Compiler::new(["src/fixture", "../proto"])?;
//! # compiler.include_imports(true).open_file("echo.proto")?;
//! # let descriptors = compiler.encode_file_descriptor_set();
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # let _entered = runtime.enter();
//! let echo = Backend::remote("echo", ["test.v1.EchoService"], descriptors, "http://127.0.0.1:50051")?;
//! let config = Config { errors: Errors::Problem, body_bytes_max: 64 << 10, ..Config::default() };
//! let edge: Edge = Edge::builder().config(config).backend(echo).build()?;
//! assert!(edge.routes().any(|route| route.rpc == "test.v1.EchoService/Get"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

mod accept;
mod authenticate;
mod buffered;
mod builder;
mod call;
mod changes;
mod codec;
mod coding;
mod config;
mod cors;
mod decode;
mod defer;
mod edge;
mod elements;
mod encode;
mod errors;
mod grpc;
mod health;
mod key;
mod limit;
mod load;
mod openapi;
mod own;
mod pages;
mod pipeline;
mod protocol;
mod record;
mod rejection;
mod report;
mod respond;
mod route;
mod seldom;
mod status;
mod upstream;
mod websocket;

#[cfg(test)]
mod fixture;

pub use accept::serve;
pub use builder::{BuildError, Builder};
pub use changes::Changes;
pub use config::{
    Config, ControlCharacters, Cors, Duplicates, Enums, Errors, Json, Keep, Names, Reflection, Route, Unknown,
};
pub use defer::{Deferral, Deferred};
pub use edge::{About, Edge, RouteRow};
pub use load::{Backend, LoadError, OWN_SERVICES};
pub use malla_runtime::auth::Authenticator;
pub use malla_runtime::link::{AddressError, Link};
pub use malla_runtime::policy::Access;
pub use malla_runtime::shutdown::Shutdown;
pub use report::Report;
pub use upstream::{Follower, ReadError, Upstream};
