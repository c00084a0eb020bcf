//! End-to-end tests: the `malla` binary as users run it, over real sockets.
//!
//! Scenarios are written once and run over both topologies (one process; a process per service) and both lanes
//! (REST and gRPC through the edge). `legacy` holds the old systems' calls, `tidy` and `contracts` the rules of the
//! repository.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking and say why")]

mod support;

mod availability;
mod beers;
mod comments;
mod contracts;
mod files;
mod grpc;
mod http;
mod legacy;
mod operations;
mod orders;
mod pages;
mod pricing;
mod process;
mod queue;
mod search;
mod streams;
mod telemetry;
mod tidy;
mod users;
mod weather;
