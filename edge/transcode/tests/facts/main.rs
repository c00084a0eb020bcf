//! What the test tables of other transcoders say, as facts in our words: an input and what comes of it, a file for each
//! peer and a table for each of its files.
//!
//! A row says what we do. Where the peer does something else the row says that too (`theirs ..`) and names the decision:
//! an item (`item 26`) or a row (`D9`) of `edge/transcode/DECISIONS.md`.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails its test")]

mod esp_v2;
mod gapic_showcase;
mod grpc_gateway;
mod grpc_httpjson_transcoding;
mod json_test_suite;
mod support;
mod vanguard;
