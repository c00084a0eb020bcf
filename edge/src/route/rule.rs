//! `google.api.HttpRule`, read from a method's options or from what its adopter declares for it.

use prost::Message as _;
use prost_reflect::MethodDescriptor;

/// One HTTP binding, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpBinding {
    /// The HTTP method; `*` for any.
    pub(crate) http_method: String,
    pub(crate) path: String,
    /// Empty, `*` or a field.
    pub(crate) body: String,
    /// Empty or a field.
    pub(crate) response_body: String,
}

/// All bindings of a method: the rule's own, then its additional ones. None if it has no rule.
///
/// # Errors
/// The rule cannot be read, or nests deeper than the specification allows.
pub(crate) fn bindings(method: &MethodDescriptor, declared: Option<&[u8]>) -> Result<Vec<HttpBinding>, String> {
    let own;
    let rule = match declared {
        Some(rule) => rule,
        None => {
            let Some(extension) = method.parent_pool().get_extension_by_name("google.api.http") else {
                return Ok(Vec::new());
            };
            let options = method.options();
            let value = options.get_extension(&extension);
            match value.as_message().filter(|_| options.has_extension(&extension)) {
                Some(rule) => own = rule.encode_to_vec(),
                None => return Ok(Vec::new()),
            }
            &own
        }
    };
    let rule = HttpRule::decode(rule).map_err(|error| format!("its google.api.http rule cannot be read: {error}"))?;
    if rule.additional_bindings.iter().any(|inner| !inner.additional_bindings.is_empty()) {
        return Err("additional_bindings within additional_bindings".to_owned());
    }
    Ok(std::iter::once(&rule).chain(&rule.additional_bindings).filter_map(binding).collect())
}

fn binding(rule: &HttpRule) -> Option<HttpBinding> {
    let (http_method, path) = match rule.pattern.clone()? {
        Pattern::Get(path) => ("GET".to_owned(), path),
        Pattern::Put(path) => ("PUT".to_owned(), path),
        Pattern::Post(path) => ("POST".to_owned(), path),
        Pattern::Delete(path) => ("DELETE".to_owned(), path),
        Pattern::Patch(path) => ("PATCH".to_owned(), path),
        Pattern::Custom(custom) => (custom.kind, custom.path),
    };
    Some(HttpBinding { http_method, path, body: rule.body.clone(), response_body: rule.response_body.clone() })
}

/// The fields of `google/api/http.proto` that matter here.
#[derive(Clone, PartialEq, prost::Message)]
struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    body: String,
    #[prost(message, repeated, tag = "11")]
    additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    response_body: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(Custom),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Custom {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    path: String,
}
