//! Logs, traces and metrics.
//!
//! Logs go to standard error: readable on a terminal, JSON lines otherwise. Metrics are always collected for the
//! admin port. Traces and metrics are also sent over OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

use std::io::IsTerminal as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::metrics::Histogram;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::{Deserialize, Serialize};
use tonic::Code;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config;
use crate::module::StartError;

const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// The exporter is itself a gRPC client: spans about exports would breed spans. What h2 and a pool of connections warn of,
/// clients can bring about as often as they like.
const QUIET: &str = "h2=error,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,reqwest=warn,sqlx=warn,sqlx::pool=error,\
                     sea_orm=warn,sea_orm_migration=warn,opentelemetry=error,opentelemetry_sdk=error,\
                     opentelemetry-otlp=error";

/// Section `[telemetry]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it: `info`, `info,malla_edge=debug`. Default `info`.
    pub log: String,
    /// How logs are written: `auto` (readable on a terminal, else JSON), `pretty` or `json`. Default `auto`.
    pub format: Format,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Readable on a terminal, else JSON.
    Auto,
    /// Readable.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { log: "info".into(), format: Format::Auto }
    }
}

impl Config {
    /// What is logged.
    ///
    /// # Errors
    /// [`config::Error::Invalid`] when `log` is no filter.
    pub fn filter(&self) -> Result<EnvFilter, config::Error> {
        // A word that is no level would be taken for a target, and everything else be silenced.
        let level = |part: &str| part.rsplit('=').next().unwrap_or_default().trim().parse::<LevelFilter>().is_ok();
        let filter = self.log.split(',').all(level).then(|| EnvFilter::try_new(format!("{QUIET},{}", self.log)));
        filter.and_then(Result::ok).ok_or_else(|| {
            let expected =
                "it may be a level (error, warn, info, debug, trace, off) and target=level pairs, with commas";
            config::Error::invalid("telemetry.log", &self.log, expected)
        })
    }
}

/// The telemetry of a process, to be shut down at its end.
#[derive(Debug)]
pub struct Telemetry {
    metrics: prometheus::Registry,
    meters: SdkMeterProvider,
    tracer: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sets up logs, traces and metrics for the whole process. Call once, inside a tokio runtime.
    ///
    /// # Errors
    /// For a filter that cannot be read or an exporter that cannot be made.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let exporting = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").is_ok_and(|endpoint| !endpoint.is_empty());
        let resource = resource();
        let (metrics, meters) = meters(&resource, exporting)?;
        let tracer = if exporting { Some(tracer(resource)?) } else { None };
        global::set_meter_provider(meters.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());

        let filter = config.filter()?;
        let json = config.format == Format::Json || (config.format == Format::Auto && !std::io::stderr().is_terminal());
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let logs = if json {
            logs.json().flatten_event(true).with_span_list(false).boxed()
        } else {
            logs.with_target(false).boxed()
        };
        let spans = tracer.as_ref().map(|tracer| tracing_opentelemetry::layer().with_tracer(tracer.tracer("malla")));
        // A second set-up in one process (tests) keeps the first one's subscriber.
        let _ = tracing_subscriber::registry().with(filter).with(logs).with(spans).try_init();
        Ok(Self { metrics, meters, tracer })
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.metrics.gather()).unwrap_or_default()
    }

    /// Sends what is still buffered; takes at most a few seconds and blocks the thread.
    pub fn shutdown(&self) {
        if let Some(tracer) = &self.tracer {
            let _ = tracer.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
        let _ = self.meters.shutdown_with_timeout(FLUSH_TIMEOUT);
    }
}

/// Who tells: as `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have it, else `malla`, and each process another.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let is_told = |key: &'static str| {
        told.get(&Key::new(key)).is_some_and(|value| !value.as_str().starts_with("unknown_service"))
    };
    let defaults = [("service.name", "malla".to_owned()), ("service.instance.id", uuid::Uuid::new_v4().to_string())];
    let missing = defaults.into_iter().filter(|(key, _)| !is_told(key));
    Resource::builder().with_attributes(missing.map(|(key, value)| KeyValue::new(key, value))).build()
}

fn meters(resource: &Resource, exporting: bool) -> Result<(prometheus::Registry, SdkMeterProvider), StartError> {
    let registry = prometheus::Registry::new();
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
    let mut builder = SdkMeterProvider::builder().with_reader(reader).with_resource(resource.clone());
    if exporting {
        builder = builder.with_periodic_exporter(opentelemetry_otlp::MetricExporter::builder().with_tonic().build()?);
    }
    Ok((registry, builder.build()))
}

fn tracer(resource: Resource) -> Result<SdkTracerProvider, StartError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Makes the trace of received headers the parent of a span. Does nothing when traces are not exported.
pub fn set_parent(span: &Span, headers: &HeaderMap) {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Received(headers)));
    let _ = span.set_parent(parent);
}

/// Writes the trace of the current span into headers to be sent, in place of what is there; leaves them alone when
/// traces are not exported.
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Sent(headers)));
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Sent<'a>(&'a mut HeaderMap);

impl Injector for Sent<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// A histogram of seconds, with the bounds of OpenTelemetry's semantic conventions.
#[must_use]
pub fn duration_histogram(name: &'static str, description: &'static str) -> Histogram<f64> {
    const BOUNDS_S: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    let meter = global::meter("malla");
    let histogram = meter.f64_histogram(name).with_description(description).with_unit("s");
    histogram.with_boundaries(BOUNDS_S.to_vec()).build()
}

/// What is measured of the calls a service handles.
#[derive(Clone, Debug)]
pub struct RpcMetrics {
    duration: Histogram<f64>,
}

impl Default for RpcMetrics {
    fn default() -> Self {
        let description = "Time from a call's arrival to the end of its response";
        Self { duration: duration_histogram("rpc.server.duration", description) }
    }
}

impl RpcMetrics {
    /// Records one call. `path` must come from a closed set: a known method, never what a client made up.
    pub fn record(&self, path: &str, code: Code, elapsed: Duration) {
        let attributes = [
            KeyValue::new("rpc.method", path.trim_start_matches('/').to_owned()),
            KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code))),
        ];
        self.duration.record(elapsed.as_secs_f64(), &attributes);
    }
}

#[cfg(test)]
mod tests;
