//! Section `[edge]` of the settings. Everything with a limit is a key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the edge. Times are in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Open connections; more wait in the backlog. Default 10000.
    pub connections_max: usize,
    /// Open connections of one client: an IPv4 address, or an IPv6 network of 64 bits; more are closed at once. Raise it
    /// behind a proxy, whose clients all have its address. Default 256.
    pub connections_per_ip_max: usize,
    /// Age at which a connection takes no more requests and closes, give or take a tenth, so that clients spread anew
    /// over several edges. Default 1 hour.
    pub connection_age_ms: u64,
    /// Requests in flight, streams included; more get 503. Default 1000.
    pub requests_max: usize,
    /// From accepting a connection to its first bytes. Default 5000.
    pub first_byte_timeout_ms: u64,
    /// From the first to the last byte of a request's headers, and the longest a connection may idle between two
    /// requests over HTTP/1. Default 30000.
    pub header_timeout_ms: u64,
    /// The longest pause between two pieces of a request's body. Default 10000.
    pub body_idle_timeout_ms: u64,
    /// The deadline of methods that declare none. Default 15000.
    pub deadline_ms: u64,
    /// Pause of an SSE stream before a comment is sent to keep it alive. Default 15000.
    pub sse_heartbeat_ms: u64,
    /// Longest request target. Default 8 KiB.
    pub uri_bytes_max: usize,
    /// Largest request body. Default 1 MiB.
    pub body_bytes_max: u64,
    /// Largest body of a raw upload (`google.api.HttpBody`). Default 64 MiB.
    pub upload_bytes_max: u64,
    /// Largest message taken from a backend. Default 4 MiB.
    pub message_bytes_max: usize,
    /// Concurrent streams of an HTTP/2 connection. Default 100.
    pub h2_streams_max: u32,
    /// HTTP/2 pings: how often, and how long for an answer. Default 20000.
    pub h2_keepalive_ms: u64,
    /// `/a/` is the same path as `/a`. Default false.
    pub trailing_slash: bool,
    /// `Authorization: <token>` means `Authorization: Bearer <token>`. Default false.
    pub schemeless_authorization: bool,
    /// Query parameters that never bind to a field, such as an API key's. Default none.
    pub ignored_query: Vec<String>,
    /// How answers are written.
    pub json: Json,
}

/// How protobuf is written as JSON. What is read is not affected: both spellings of a field are always accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Json {
    /// Names of fields. Default `camel`, as ProtoJSON has it.
    pub names: Names,
    /// Also write fields that have their default value. Default false.
    pub emit_defaults: bool,
    /// Values of enums. Default `name`.
    pub enums: Enums,
}

/// Names of fields in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// `lowerCamelCase`, or the field's `json_name`.
    #[default]
    Camel,
    /// As in the .proto.
    Proto,
}

/// Values of enums in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enums {
    /// By name.
    #[default]
    Name,
    /// By number.
    Number,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_ip_max: 256,
            connection_age_ms: 3_600_000,
            requests_max: 1_000,
            first_byte_timeout_ms: 5_000,
            header_timeout_ms: 30_000,
            body_idle_timeout_ms: 10_000,
            deadline_ms: 15_000,
            sse_heartbeat_ms: 15_000,
            uri_bytes_max: 8 << 10,
            body_bytes_max: 1 << 20,
            upload_bytes_max: 64 << 20,
            message_bytes_max: 4 << 20,
            h2_streams_max: 100,
            h2_keepalive_ms: 20_000,
            trailing_slash: false,
            schemeless_authorization: false,
            ignored_query: Vec::new(),
            json: Json::default(),
        }
    }
}

impl Config {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`malla_runtime::config::Error::Invalid`] for the first value that cannot be used.
    pub fn check(&self) -> Result<(), malla_runtime::config::Error> {
        const DAY_MS: u64 = 86_400_000;
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        malla_runtime::config::check_ranges(
            "edge",
            [
                ("connections_max", count(self.connections_max), 1..=10_000_000),
                ("connections_per_ip_max", count(self.connections_per_ip_max), 1..=10_000_000),
                ("connection_age_ms", self.connection_age_ms, 1_000..=30 * DAY_MS),
                ("requests_max", count(self.requests_max), 1..=10_000_000),
                ("first_byte_timeout_ms", self.first_byte_timeout_ms, 10..=DAY_MS),
                ("header_timeout_ms", self.header_timeout_ms, 10..=DAY_MS),
                ("body_idle_timeout_ms", self.body_idle_timeout_ms, 10..=DAY_MS),
                ("deadline_ms", self.deadline_ms, 1..=DAY_MS),
                ("sse_heartbeat_ms", self.sse_heartbeat_ms, 100..=DAY_MS),
                ("uri_bytes_max", count(self.uri_bytes_max), 16..=65_534),
                ("body_bytes_max", self.body_bytes_max, 1..=1 << 30),
                ("upload_bytes_max", self.upload_bytes_max, 1..=1 << 40),
                ("message_bytes_max", count(self.message_bytes_max), 1_024..=1 << 30),
                ("h2_streams_max", self.h2_streams_max.into(), 1..=100_000),
                ("h2_keepalive_ms", self.h2_keepalive_ms, 100..=DAY_MS),
            ],
        )
    }

    pub(crate) fn body_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.body_idle_timeout_ms)
    }
}
