//! The edge's own pages: what it is, how its backends are, what it can be asked; for programs, and for browsers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use malla_runtime::health::State;
use serde::Serialize;

use crate::edge::Shared;
use crate::elements;
use crate::encode::Answer;
use crate::health::Condition;
use crate::openapi;
use crate::rejection::Rejection;

const HTML: &str = include_str!("pages/status.html");
const SCRIPT: &str = include_str!("pages/status.js");
const STYLE: &str = include_str!("pages/status.css");
const SCRIPT_PATH: &str = "/-/status.js";
const STYLE_PATH: &str = "/-/status.css";
const DOCS: &str = include_str!("pages/docs.html");
const DOCS_SCRIPT: &str = include_str!("pages/docs.js");
const DOCS_STYLE: &str = include_str!("pages/docs.css");
/// Only what comes from here, and nothing inline.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
/// How many calls the status page shows.
const CALLS_SHOWN: usize = 3;

/// What the edge answers itself, besides the health of single services.
const PATHS: [&str; 9] =
    ["/", "/health", "/openapi.json", "/openapi.yaml", "/docs", "/-/docs.js", "/-/docs.css", SCRIPT_PATH, STYLE_PATH];

/// The methods they have.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

/// Whether the edge answers a path itself.
pub(crate) fn is_own(path: &str) -> bool {
    PATHS.contains(&path) || path.starts_with("/health/")
}

/// The path without what a client chose, for the log.
pub(crate) fn route(path: &str) -> &'static str {
    let path = if path == "/health/" { "/health" } else { path };
    PATHS.into_iter().find(|own| *own == path).unwrap_or("/health/{service}")
}

/// Answers one of them.
///
/// # Errors
/// 404 for a service nobody knows, 405 for any method but GET and HEAD, 500 where descriptors cannot be read.
pub(crate) async fn answer(edge: &Arc<Shared>, head: &Parts) -> Result<Answer, Rejection> {
    match head.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Ok(options(METHODS)),
        _ => return Err(Rejection::method_not_allowed(head.method.as_str(), METHODS)),
    }
    match head.uri.path() {
        "/" if prefers_html(&head.headers) => Ok(page(edge)),
        "/" => Ok(index(edge)),
        SCRIPT_PATH => Ok(asset("text/javascript; charset=utf-8", SCRIPT)),
        STYLE_PATH => Ok(asset("text/css; charset=utf-8", STYLE)),
        "/openapi.json" => openapi::answer(edge, &head.headers, openapi::Form::Json).await,
        "/openapi.yaml" => openapi::answer(edge, &head.headers, openapi::Form::Yaml).await,
        "/docs" => Ok(asset("text/html; charset=utf-8", &titled(DOCS, edge))),
        "/-/docs.js" => Ok(asset("text/javascript; charset=utf-8", DOCS_SCRIPT)),
        "/-/docs.css" => Ok(asset("text/css; charset=utf-8", DOCS_STYLE)),
        path => match path.strip_prefix("/health").unwrap_or_default().trim_matches('/') {
            "" => Ok(health(edge)),
            name => service_health(edge, name),
        },
    }
}

/// 204 with the methods a path has.
pub(crate) fn options(allow: &str) -> Answer {
    let mut answer = Answer::empty(StatusCode::NO_CONTENT);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        answer.headers.insert(header::ALLOW, allow);
    }
    answer
}

#[derive(Serialize)]
struct Index<'e> {
    name: &'e str,
    version: &'e str,
    #[serde(flatten)]
    states: States,
}

#[derive(Serialize)]
struct States {
    status: &'static str,
    services: BTreeMap<String, &'static str>,
    /// Why a backend cannot be reached, or what keeps the edge from learning what it serves now; then it goes on with what
    /// it last knew.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    troubles: BTreeMap<String, String>,
}

impl States {
    fn of(edge: &Shared) -> Self {
        let (mut services, mut troubles) = (BTreeMap::new(), BTreeMap::new());
        for Condition { name, state, trouble } in edge.health.conditions() {
            troubles.extend(trouble.map(|trouble| (name.clone(), trouble)));
            services.insert(name, state.as_str_name());
        }
        Self { status: edge.health.overall().as_str_name(), services, troubles }
    }
}

#[derive(Serialize)]
struct ServiceState<'n> {
    service: &'n str,
    status: &'static str,
}

fn index(edge: &Shared) -> Answer {
    let index = Index { name: &edge.about.name, version: &edge.about.version, states: States::of(edge) };
    json(StatusCode::OK, &index)
}

fn health(edge: &Shared) -> Answer {
    json(http_of(edge.health.overall()), &States::of(edge))
}

fn service_health(edge: &Shared, name: &str) -> Result<Answer, Rejection> {
    let state = edge.health.registry.get(name).ok_or_else(|| {
        let message = format!("there is no service {name:?}; GET /health lists them");
        Rejection::new(tonic::Status::not_found(message))
    })?;
    Ok(json(http_of(state), &ServiceState { service: name, status: state.as_str_name() }))
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    Answer::json(status, serde_json::to_vec(body).unwrap_or_default())
}

fn http_of(state: State) -> StatusCode {
    if state == State::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Browsers name `text/html`; tools accept anything.
fn prefers_html(headers: &HeaderMap) -> bool {
    let is_html = |essence: &str| matches!(essence, "text/html" | "application/json").then(|| essence == "text/html");
    elements::accepted(headers, is_html).unwrap_or(false)
}

fn page(edge: &Shared) -> Answer {
    asset("text/html; charset=utf-8", &titled(HTML, edge).replace("{{calls}}", &calls(edge)))
}

fn titled(html: &str, edge: &Shared) -> String {
    html.replace("{{name}}", &escape(&edge.about.name)).replace("{{version}}", &escape(&edge.about.version))
}

/// Calls anyone can try: no credentials, no variables to fill in.
fn calls(edge: &Shared) -> String {
    let open = edge.routes().filter(|row| row.is_open() && row.http_method == "GET" && !row.path.contains(['{', '*']));
    let mut list = String::new();
    for row in open.filter(|row| row.required_query.is_empty()).take(CALLS_SHOWN) {
        let path = escape(&row.path);
        let _ = write!(list, "<li><a href=\"{path}\"><code>GET {path}</code></a> <small>{}</small></li>", row.rpc);
    }
    list
}

fn asset(content_type: &'static str, text: &str) -> Answer {
    let mut answer = Answer::full(StatusCode::OK, HeaderValue::from_static(content_type), text.to_owned());
    answer.headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    answer
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
