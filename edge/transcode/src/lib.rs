//! What `google.api.http` and ProtoJSON mean, worked out from descriptors alone.
//!
//! No I/O, no async and no HTTP types: bytes go in, bytes or [`Violation`]s come out. It begins with a [`Schema`],
//! which any number of `FileDescriptorSet`s make.
//!
//! # Stages
//! Once, for a set of backends: [`Schema`] reads descriptors, [`rule`] says which bindings their methods have, [`check`]
//! what is wrong with them, and gives a [`table`]. For each binding: [`bind::RequestPlan`] and [`bind::ResponsePlan`]. For
//! each request: [`table::Table::find`] gives the binding and its variables, the plans make bytes of the request and JSON
//! of the response; [`json`] alone is ProtoJSON without bindings. [`explain`] says why a request goes where it goes.
//!
//! # Limits
//! Requests cost time and memory in proportion to their size, and recursion is bounded; how large they may be is for the
//! caller to say. A request with faults names at most [`VIOLATIONS_MAX`]; each that is an unknown name costs a look at all
//! names that it may have meant.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use malla_transcode::Schema;
//! use malla_transcode::bind::{Payload, RequestOptions, RequestPlan};
//! use malla_transcode::check::{Clashes, check};
//! use malla_transcode::rule::{Config, declare};
//!
//! # let mut compiler = protox::Compiler::new(["../../proto"])?;
//! # compiler.include_imports(true).open_file("google/longrunning/operations.proto")?;
//! # let descriptors = compiler.encode_file_descriptor_set();
//! let schema = Arc::new(Schema::new(&[&descriptors])?);
//! let service = schema.find_service("google.longrunning.Operations").expect("it is in the set");
//! let methods: Vec<_> = service.methods.iter().map(|method| (&*schema, method)).collect();
//! let (declared, _) = declare(&methods, &Config::default(), false);
//! let (table, findings) = check(declared, Clashes::Refuse);
//! assert!(findings.is_empty());
//!
//! let found = table.find("GET", "/v1/operations/7", |_| false).expect("a binding has it");
//! let route = &found.rule.value;
//! assert_eq!(&*route.method().path, "/google.longrunning.Operations/GetOperation");
//!
//! let plan = RequestPlan::compile(schema.clone(), route, RequestOptions::default()).expect("its fields fit");
//! let variables: Vec<_> = found.captures().map(|(_, text)| text).collect();
//! let mut message = Vec::new();
//! plan.decode(&variables, "", Payload::Empty, &mut message).expect("the request has no fault");
//! assert_eq!(message, b"\x0a\x0coperations/7");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//! `examples/transcode.rs` goes on to the answer.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "an unwrap that fails fails its test"))]

mod base64;
pub mod bind;
pub mod check;
mod descriptor;
pub mod explain;
#[cfg(test)]
mod fixture;
pub mod json;
mod mask;
mod nearest;
mod number;
pub mod path;
pub mod percent;
pub mod rule;
pub mod schema;
pub mod table;
pub mod template;
pub mod text;
mod time;
mod violation;
mod wire;

pub use nearest::nearest;
pub use schema::{Schema, SchemaError};
pub use violation::{VIOLATIONS_MAX, Violation};
