//! Malla's contracts: messages, clients and servers generated from `proto/`, and the descriptor sets they came from.
//! Nothing here is written by hand; `build.rs` makes it all.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/tree.rs"));

/// The descriptor set of each capability, as protobuf bytes.
pub mod descriptors {
    include!(concat!(env!("OUT_DIR"), "/descriptors.rs"));
}
