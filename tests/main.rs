//! End-to-end tests: the `malla` binary as users run it, over real sockets.
//!
//! Scenarios are written once and run over both topologies (one process; a process per service) and both lanes
//! (REST and gRPC through the edge). `legacy` holds the old systems' calls, `tidy` and `contracts` the rules of the
//! repository.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking and say why")]

mod support;

mod availability;
mod beers;
mod checkouts;
mod clocks;
mod comments;
mod contracts;
mod deadlines;
mod deferred;
mod disks;
mod envoy;
mod faults;
mod files;
mod grpc;
mod http;
mod keys;
mod legacy;
mod links;
mod openapi;
mod operations;
mod orders;
mod pages;
mod postgres;
mod pricing;
mod process;
mod queue;
mod search;
mod storms;
mod streams;
mod telemetry;
mod tidy;
mod upstream;
mod users;
mod weather;
