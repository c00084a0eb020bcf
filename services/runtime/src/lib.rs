//! The chassis of every Malla process. It knows gRPC, but none of Malla's messages; it stores nothing.
//!
//! A module comes in when two crates need it. What a service does with its own data stays in the service.

pub mod auth;
pub mod call;
pub mod client;
pub mod codec;
pub mod config;
pub mod decimal;
pub mod first_bytes;
pub mod guard;
pub mod health;
pub mod link;
pub mod module;
pub mod page;
pub mod places;
pub mod policy;
pub mod server;
pub mod shutdown;
pub mod status;
pub mod telemetry;
pub mod whole;
