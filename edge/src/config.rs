//! Section `[edge]` of the settings. Everything with a limit is a key.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use malla_runtime::config::Error;
use malla_transcode::check::Clashes;
use malla_transcode::percent;
use serde::{Deserialize, Serialize};

mod cors;
mod routes;

pub use cors::Cors;
pub(crate) use routes::Options;
pub use routes::Route;

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
    /// Requests in flight, streams included; more get 503. One counts once its message is there: while that comes it only
    /// counts among its client's. Default 1000.
    pub requests_max: usize,
    /// Requests in flight of one client, as `connections_per_ip_max` has it; more get 429. Raise it behind a proxy. Default
    /// 500.
    pub requests_per_ip_max: usize,
    /// From accepting a connection to its first bytes. Default 5000.
    pub first_byte_timeout_ms: u64,
    /// From the first to the last byte of a request's headers, and the longest a connection may idle between two
    /// requests over HTTP/1. Default 30000.
    pub header_timeout_ms: u64,
    /// The longest pause between two pieces of a request's body. Default 10000.
    pub body_idle_timeout_ms: u64,
    /// The deadline of methods that declare none. Default 15000.
    pub deadline_ms: u64,
    /// The same for methods that stream. Default 1 hour.
    pub stream_deadline_ms: u64,
    /// How long beyond its call's deadline a client may take for an answer, before the stream is reset, or, over HTTP/1,
    /// the connection closed; and how long a connection may take nothing at all. Default 60000.
    pub answer_timeout_ms: u64,
    /// Pause of an SSE stream before a comment is sent to keep it alive. Default 15000.
    pub sse_heartbeat_ms: u64,
    /// Longest request target. Default 8 KiB.
    pub uri_bytes_max: usize,
    /// Largest request body, as it came and decoded. Default 1 MiB.
    pub body_bytes_max: u64,
    /// Largest body of a raw upload (`google.api.HttpBody`), and of all messages that a client streams. Default 64 MiB.
    pub upload_bytes_max: u64,
    /// What is held of bodies, over gRPC too, of all requests together; of streams, what was not passed on yet, and of
    /// answers over REST of more than 64 KiB what their clients have not taken yet; more get 503. Default 256 MiB.
    pub buffered_bytes_max: u64,
    /// The same of one client, as `connections_per_ip_max` has it; more get 429. Raise it behind a proxy. Default 64 MiB.
    pub buffered_bytes_per_ip_max: u64,
    /// Largest message taken from a backend. Default 4 MiB.
    pub message_bytes_max: usize,
    /// Concurrent streams of an HTTP/2 connection. Default 100.
    pub h2_streams_max: u32,
    /// HTTP/2 pings: how often, and how long for an answer. Default 20000.
    pub h2_keepalive_ms: u64,
    /// Answers that are text are compressed for clients that take that. Default true.
    pub compress: bool,
    /// Shorter answers than this are not. Default 1 KiB.
    pub compress_bytes_min: u64,
    /// WebSockets: how often a client is pinged, and how long it has to answer, or to take a message. Default 20000.
    pub websocket_ping_ms: u64,
    /// Origins (`https://app.example`) whose pages may open WebSockets, besides the edge's own host; `*` for all. Default
    /// none.
    pub websocket_origins: Vec<String>,
    /// `/a/` is the same path as `/a`. Default false.
    pub trailing_slash: bool,
    /// `Authorization: <token>` means `Authorization: Bearer <token>`. Default false.
    pub schemeless_authorization: bool,
    /// Query parameters that never bind to a field, such as an API key's. Default none.
    pub ignored_query: Vec<String>,
    /// Fields of a JSON body that the message does not have. Default `refuse`.
    pub unknown_fields: Unknown,
    /// The same for parameters of a query or a form. Default `refuse`.
    pub unknown_query: Unknown,
    /// Parameters for `Struct`, `Value`, `ListValue` and `Any` are JSON: `?filter={"a":1}`. Default false: only a
    /// body can hold them, or a parameter a field within them (`value.string_value=x`).
    pub json_parameters: bool,
    /// Control characters (`%00`) in values of the path and the query. Default `accept`: any string of protobuf may have
    /// them, so backends get them over gRPC in any case, what is named with one has to stay within reach, and whoever
    /// searches for a tab means it. The edge itself writes none of them as they are, in headers or in its log. `refuse`
    /// is for backends whose values go on to what takes them for more than data: shells, C, terminals.
    pub control_characters: ControlCharacters,
    /// What the body of an error is. Default `status`.
    pub errors: Errors,
    /// How answers are written.
    pub json: Json,
    /// What holds for some routes only; of several for one route the last that says something counts. Default none.
    pub routes: Vec<Route>,
    /// Service configurations, in YAML or JSON, whose `http.rules` take the place of annotations. Default none.
    pub rules: Vec<PathBuf>,
    /// Methods without a rule are `POST /pkg.Service/Method` with the message as body. Default false.
    pub auto_mapping: bool,
    /// What becomes of a route that is declared twice. Default `refuse`.
    pub duplicates: Duplicates,
    /// Which escapes stay as they are in a variable of several segments. Default: what `rules` say, else `slash`.
    pub keep: Option<Keep>,
    /// Which pages of other origins may read answers.
    pub cors: Cors,
    /// How backends are asked what they serve, where that is not known beforehand, and whether clients may ask the edge.
    pub reflection: Reflection,
}

/// How backends are asked what they serve, or files read that say so; and whether the edge says it in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reflection {
    /// How often, give or take a fifth; SIGHUP asks at once. Default 30000.
    pub interval_ms: u64,
    /// How long all of it may take. Default 10000.
    pub timeout_ms: u64,
    /// Most bytes of descriptors of one backend. Default 32 MiB.
    pub bytes_max: usize,
    /// Whether the edge answers server reflection: with all descriptors of all backends, methods that it does not serve
    /// included, to everybody. Default true.
    pub serve: bool,
}

impl Default for Reflection {
    fn default() -> Self {
        Self { interval_ms: 30_000, timeout_ms: 10_000, bytes_max: 32 << 20, serve: true }
    }
}

/// What the body of an error is. Each has the code, the message and all details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Errors {
    /// `google.rpc.Status`: `{"code":5,"message":"...","details":[...]}`.
    #[default]
    Status,
    /// As Google's APIs answer (AIP-193): `{"error":{"code":404,"message":"...","status":"NOT_FOUND","details":[...]}}`.
    Aip193,
    /// `application/problem+json` (RFC 9457), with the members `code` and `details` besides.
    Problem,
}

/// What becomes of what a message has no field for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// The request is refused: 400.
    #[default]
    Refuse,
    /// It is as if it was not there.
    Ignore,
}

/// What becomes of control characters (Unicode's Cc: U+0000 to U+001F, U+007F to U+009F).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlCharacters {
    /// They are data like any other.
    #[default]
    Accept,
    /// The request is refused: 400.
    Refuse,
}

/// What becomes of a route that two methods declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// It is an error; of an upstream the second is left out.
    #[default]
    Refuse,
    /// The first one has it.
    First,
    /// The last one has it.
    Last,
}

impl From<Duplicates> for Clashes {
    fn from(duplicates: Duplicates) -> Self {
        match duplicates {
            Duplicates::Refuse => Self::Refuse,
            Duplicates::First => Self::First,
            Duplicates::Last => Self::Last,
        }
    }
}

/// Which escapes stay as they are in a path variable of several segments; see [`percent::Keep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// None.
    Nothing,
    /// `%2F`.
    Slash,
    /// Those of all reserved characters.
    Reserved,
}

impl From<Keep> for percent::Keep {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Nothing => Self::Nothing,
            Keep::Slash => Self::Slash,
            Keep::Reserved => Self::Reserved,
        }
    }
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
            requests_per_ip_max: 500,
            first_byte_timeout_ms: 5_000,
            header_timeout_ms: 30_000,
            body_idle_timeout_ms: 10_000,
            deadline_ms: 15_000,
            stream_deadline_ms: 3_600_000,
            answer_timeout_ms: 60_000,
            sse_heartbeat_ms: 15_000,
            uri_bytes_max: 8 << 10,
            body_bytes_max: 1 << 20,
            upload_bytes_max: 64 << 20,
            buffered_bytes_max: 256 << 20,
            buffered_bytes_per_ip_max: 64 << 20,
            message_bytes_max: 4 << 20,
            h2_streams_max: 100,
            h2_keepalive_ms: 20_000,
            compress: true,
            compress_bytes_min: 1 << 10,
            websocket_ping_ms: 20_000,
            websocket_origins: Vec::new(),
            trailing_slash: false,
            schemeless_authorization: false,
            ignored_query: Vec::new(),
            unknown_fields: Unknown::default(),
            unknown_query: Unknown::default(),
            json_parameters: false,
            control_characters: ControlCharacters::default(),
            errors: Errors::default(),
            json: Json::default(),
            routes: Vec::new(),
            rules: Vec::new(),
            auto_mapping: false,
            duplicates: Duplicates::default(),
            keep: None,
            cors: Cors::default(),
            reflection: Reflection::default(),
        }
    }
}

impl Config {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first value that cannot be used, files of rules among them.
    pub fn check(&self) -> Result<(), Error> {
        const DAY_MS: u64 = 86_400_000;
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        malla_runtime::config::check_ranges(
            "edge",
            [
                ("connections_max", count(self.connections_max), 1..=10_000_000),
                ("connections_per_ip_max", count(self.connections_per_ip_max), 1..=10_000_000),
                ("connection_age_ms", self.connection_age_ms, 1_000..=30 * DAY_MS),
                ("requests_max", count(self.requests_max), 1..=10_000_000),
                ("requests_per_ip_max", count(self.requests_per_ip_max), 1..=10_000_000),
                ("first_byte_timeout_ms", self.first_byte_timeout_ms, 10..=DAY_MS),
                ("header_timeout_ms", self.header_timeout_ms, 10..=DAY_MS),
                ("body_idle_timeout_ms", self.body_idle_timeout_ms, 10..=DAY_MS),
                ("deadline_ms", self.deadline_ms, 1..=DAY_MS),
                ("stream_deadline_ms", self.stream_deadline_ms, 1..=DAY_MS),
                ("answer_timeout_ms", self.answer_timeout_ms, 10..=DAY_MS),
                ("sse_heartbeat_ms", self.sse_heartbeat_ms, 100..=DAY_MS),
                ("uri_bytes_max", count(self.uri_bytes_max), 16..=65_534),
                ("body_bytes_max", self.body_bytes_max, 1..=1 << 30),
                ("upload_bytes_max", self.upload_bytes_max, 1..=1 << 40),
                ("buffered_bytes_max", self.buffered_bytes_max, 1..=1 << 50),
                ("buffered_bytes_per_ip_max", self.buffered_bytes_per_ip_max, 1..=1 << 50),
                ("message_bytes_max", count(self.message_bytes_max), 1_024..=1 << 30),
                ("websocket_ping_ms", self.websocket_ping_ms, 100..=DAY_MS),
                ("cors.max_age_s", self.cors.max_age_s.into(), 0..=86_400),
                ("compress_bytes_min", self.compress_bytes_min, 0..=1 << 30),
                ("h2_streams_max", self.h2_streams_max.into(), 1..=100_000),
                ("h2_keepalive_ms", self.h2_keepalive_ms, 100..=DAY_MS),
                ("reflection.interval_ms", self.reflection.interval_ms, 100..=DAY_MS),
                ("reflection.timeout_ms", self.reflection.timeout_ms, 10..=600_000),
                ("reflection.bytes_max", count(self.reflection.bytes_max), 1_024..=1 << 30),
            ],
        )?;
        for file in &self.rules {
            let unusable = |error: std::io::Error| Error::invalid("edge.rules", file.display(), error.to_string());
            File::open(file).map_err(unusable)?;
        }
        self.cors.check()?;
        self.routes.iter().enumerate().try_for_each(|(at, route)| route.check(at))
    }

    pub(crate) fn deadline(&self, is_stream: bool) -> Duration {
        Duration::from_millis(if is_stream { self.stream_deadline_ms } else { self.deadline_ms })
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    pub(crate) fn body_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.body_idle_timeout_ms)
    }
}
