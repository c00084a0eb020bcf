//! The OpenAPI document of the current table, in JSON and YAML: made when it is first asked for, then kept, as it is and in
//! every coding it was asked for in. Of thousands of routes that takes seconds, so none of it is done on a worker.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::Full;
use malla_openapi::{Access, Api, Binding, Errors, Json};
use malla_runtime::policy;
use malla_transcode::table::Rule;
use tokio::runtime::Handle;
use tonic::Status;
use tonic::body::Body;

use crate::coding::{self, Coding};
use crate::config::{self, Enums, Names, Unknown};
use crate::edge::Shared;
use crate::elements;
use crate::encode::Answer;
use crate::load::Binding as Bound;
use crate::rejection::Rejection;

#[cfg(test)]
mod tests;

/// How the document is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    Yaml,
}

/// The document, once it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Openapi(Once<Arc<[Text; 2]>>);

#[derive(Debug)]
struct Text {
    body: Bytes,
    etag: HeaderValue,
    /// The body in each of [`Coding::WRITTEN`].
    packed: [Once<Bytes>; Coding::WRITTEN.len()],
}

impl Text {
    async fn packed(&self, coding: Coding) -> Option<Bytes> {
        let at = Coding::WRITTEN.iter().position(|written| *written == coding)?;
        let plain = self.body.clone();
        self.packed[at].get(move || Handle::current().block_on(coding::packed(coding, &plain)).ok()).await
    }
}

/// What is made once, when it is first asked for, on a thread that may block. Whoever asks waits for the same making, which
/// goes on when they leave: else clients that come and go could begin it again and again.
#[derive(Debug)]
struct Once<T: Clone>(OnceLock<future::Shared<BoxFuture<'static, Option<T>>>>);

impl<T: Clone> Default for Once<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: Clone + Send + Sync + 'static> Once<T> {
    /// `None` when it could not be made.
    async fn get(&self, make: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
        let making = self.0.get_or_init(|| {
            let making = tokio::task::spawn_blocking(make);
            async { making.await.ok().flatten() }.boxed().shared()
        });
        making.clone().await
    }
}

/// Answers with the document, or 304 to a client that has it.
///
/// # Errors
/// 500 when it cannot be written.
pub(crate) async fn answer(edge: &Arc<Shared>, headers: &HeaderMap, form: Form) -> Result<Answer, Rejection> {
    let of = edge.clone();
    let made = edge.openapi.0.get(move || {
        let made = make(&of).inspect_err(|error| tracing::error!(%error, "the OpenAPI document cannot be made"));
        made.ok().map(Arc::new)
    });
    let made = made.await.ok_or_else(|| Rejection::new(Status::internal("internal error")))?;
    let [json, yaml] = &*made;
    let (text, content_type) = match form {
        Form::Json => (json, "application/json"),
        Form::Yaml => (yaml, "application/yaml"),
    };
    let coding = coding::accepted(headers).filter(|_| edge.config.compress);
    let mut answer = if is_known(headers, &text.etag) {
        Answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        Answer::full(StatusCode::OK, HeaderValue::from_static(content_type), text.body.clone())
    };
    answer.headers.insert(header::ETAG, text.etag.clone());
    if let Some(coding) = coding.filter(|_| answer.status == StatusCode::OK)
        && let Some(packed) = text.packed(coding).await
    {
        answer.body = Body::new(Full::new(packed));
        coding::tell(&mut answer.headers, coding);
    }
    // It may be kept, but has to be asked for again: the table may have changed.
    answer.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

/// `If-None-Match` (RFC 9110 13.1.2).
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let mut tags = elements::of(headers, header::IF_NONE_MATCH).map(|tag| tag.trim_start_matches("W/"));
    tags.any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

fn make(edge: &Shared) -> Result<[Text; 2], String> {
    let bindings = edge.table.rules().iter().filter_map(|rule| binding(edge, rule)).collect();
    let document = malla_openapi::document(&Api {
        title: &edge.about.name,
        version: &edge.about.version,
        json: json(&edge.config.json),
        errors: errors(edge.config.errors),
        bindings,
    });
    let json = serde_json::to_string(&document).map_err(|error| error.to_string())?;
    Ok([text(json)?, text(malla_openapi::yaml(&document))?])
}

fn binding<'a>(edge: &Shared, rule: &'a Rule<Bound>) -> Option<Binding<'a>> {
    let Bound { method, success, declared, schema, .. } = &rule.value;
    Some(Binding {
        backend: &method.backend,
        schema,
        method: schema.find_method(&method.name().replace('/', "."))?,
        http_method: &rule.http_method,
        template: &rule.template,
        body: &declared.body,
        response_body: &declared.response_body,
        required_query: &rule.required_query,
        lenient: declared.lenient,
        aliases: &declared.aliases,
        access: match method.access {
            policy::Access::Anyone => Access::Anyone,
            policy::Access::OptionalUser => Access::OptionalUser,
            policy::Access::User => Access::User,
            // No client can call what is for services only, so the table has none of it.
            policy::Access::Operator | policy::Access::Service | policy::Access::Unspecified => Access::Operator,
        },
        success: success.as_u16(),
        deferrable: method.deferrable && edge.deferral.is_some(),
        json: json(&declared.options.json),
        errors: errors(declared.options.errors),
        ignore_unknown_fields: declared.options.unknown_fields == Unknown::Ignore,
        ignore_unknown_parameters: declared.options.unknown_query == Unknown::Ignore,
        json_parameters: declared.options.json_parameters,
    })
}

fn json(json: &config::Json) -> Json {
    Json {
        proto_names: json.names == Names::Proto,
        enum_numbers: json.enums == Enums::Number,
        emit_defaults: json.emit_defaults,
    }
}

fn errors(errors: config::Errors) -> Errors {
    match errors {
        config::Errors::Status => Errors::Status,
        config::Errors::Aip193 => Errors::Aip193,
        config::Errors::Problem => Errors::Problem,
    }
}

fn text(body: String) -> Result<Text, String> {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let etag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).map_err(|error| error.to_string())?;
    Ok(Text { body: body.into(), etag, packed: Default::default() })
}
