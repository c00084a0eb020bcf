//! One trace across edge and services, sent over OTLP; metrics with labels from closed sets; logs without secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::support::{Lane, Mesh, Topology};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// An OTLP collector that keeps every span.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(spans.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, address)
    }

    /// Spans of the trace by id.
    fn trace(&self) -> BTreeMap<String, Span> {
        let spans = self.0.lock().unwrap();
        let ours = spans.iter().filter(|span| hex(&span.trace_id) == TRACE);
        ours.map(|span| (hex(&span.span_id), span.clone())).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn method(span: &Span) -> String {
    let value =
        span.attributes.iter().find(|attribute| attribute.key == "rpc.method").and_then(|found| found.value.clone());
    format!("{:?}", value.and_then(|value| value.value))
}

/// Whether every span between an RPC's and the caller's has come.
fn whole(spans: &BTreeMap<String, Span>, rpc: &str) -> bool {
    let mut at = spans.values().find(|span| method(span).contains(rpc));
    while let Some(span) = at {
        let parent = hex(&span.parent_span_id);
        if parent == CALLER {
            return true;
        }
        at = spans.get(&parent);
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_caller_through_the_edge_to_the_last_service() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let (collector, address) = Collector::start().await;
        let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
        let mesh = Mesh::start_with(topology, &settings).await;
        let quote = reqwest::Client::new().post(format!("{}/v1/quotes", mesh.edge()));
        let quote = quote.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
        let quote = quote.json(&json!({"sku": "AZ00001", "country": "ni", "city": "Leon"}));
        assert_eq!(quote.send().await.unwrap().status(), 200);

        let wanted = ["AvailabilityService/GetCity", "PricingService/CreateQuote"];
        let arrived = async {
            while !wanted.iter().all(|rpc| collector.trace().values().any(|span| method(span).contains(rpc))) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // Spans end in no certain order: a service's own when its response has been dropped.
            while !whole(&collector.trace(), wanted[0]) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived)
            .await
            .unwrap_or_else(|_| panic!("{:#?}", collector.trace()));
        let spans = collector.trace();
        let last = spans.values().find(|span| method(span).contains(wanted[0])).unwrap();
        let (mut at, mut way) = (last, vec![method(last)]);
        while let Some(parent) = spans.get(&hex(&at.parent_span_id)) {
            way.push(method(parent));
            at = parent;
        }
        assert_eq!(hex(&at.parent_span_id), CALLER, "the first span is a child of the caller's: {way:?}");
        assert!(way.iter().any(|method| method.contains(wanted[1])) && way.len() >= 3, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_cannot_make_up_metric_series_and_logs_hold_no_secrets() {
    let mesh = Mesh::start_with(Topology::OneProcess, &[("LISTEN__BEERS", "127.0.0.1:0")]).await;
    let lane = Lane::rest(&mesh).user("logged").await;
    let beers =
        tonic::transport::Channel::from_shared(mesh.address("beers").to_owned()).unwrap().connect().await.unwrap();
    let mut beers = tonic::client::Grpc::new(beers);
    beers.ready().await.unwrap();
    let nothing = Request::new(ExportTraceServiceRequest::default());
    let codec = tonic_prost::ProstCodec::<ExportTraceServiceRequest, ExportTraceServiceResponse>::default();
    let refused = beers.unary(nothing, "/made-up.Service/Call".parse().unwrap(), codec).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    lane.call("malla.beers.v1.BeersService/ListBeers", json!({})).await.unwrap();
    for number in 0..50 {
        let url = format!("{}/made-up/{number}?token=S3cretInQuery", mesh.edge());
        assert_eq!(reqwest::get(url).await.unwrap().status(), 404);
    }
    let metrics = reqwest::get(format!("{}/metrics", mesh.address("admin"))).await.unwrap().text().await.unwrap();
    for part in ["rpc_server_duration", "http_server_request_duration", "malla.beers.v1.BeersService/ListBeers"] {
        assert!(metrics.contains(part), "{part} in {metrics}");
    }
    assert!(!metrics.contains("made-up"), "a path a client made up is no label");
    let series: BTreeSet<&str> = metrics.lines().filter(|line| line.contains("_count{")).collect();
    assert!(series.len() < 200, "{} series", series.len());

    let logs = std::fs::read_to_string(mesh.data_dir().join("log.0")).unwrap();
    assert!(logs.contains("/v1/beers"), "the access log has the route");
    for secret in [lane.token(), "Secret1word", "S3cretInQuery", "logged@example.com"] {
        assert!(!logs.contains(secret), "{secret} in the log");
    }
    for line in logs.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not a terminal, so JSON: {line}");
    }
}

/// Control characters in a request are data: they make no line of the log, nor move a terminal's cursor.
#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_forges_no_line_of_the_log() {
    for format in ["pretty", "json"] {
        let settings = [("TELEMETRY__FORMAT", format), ("TELEMETRY__LOG", "debug")];
        let mesh = Mesh::start_with(Topology::OneProcess, &settings).await;
        for (target, status) in [
            ("/v1/beers/%00%0D%0Aforged%7F", 404),
            ("/v1/beers?page_token=%00%0D%0Aforged", 400),
            ("/v1/beers?%0D%0Aforged=%00", 400),
            ("/nowhere/%0D%0Aforged%00", 404),
        ] {
            let answer = reqwest::get(format!("{}{target}", mesh.edge())).await.unwrap();
            assert_eq!(answer.status(), status, "{target}");
        }
        let logs = std::fs::read_to_string(mesh.data_dir().join("log.0")).unwrap();
        assert!(logs.contains("/v1/beers/{sku}"), "{logs}");
        assert!(!logs.contains(['\0', '\r', '\u{7f}']), "{format}: {logs:?}");
        assert!(!logs.lines().any(|line| line.starts_with("forged")), "{format}: {logs}");
    }
}
