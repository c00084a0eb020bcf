//! `google.rpc.Status` as JSON, its details resolved from what the backends and Google's own protos declare.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde::Serialize;
use serde_json::Value;
use tonic::Status;
use tonic_types::pb;

use super::json;
use crate::config::Json;

#[cfg(test)]
mod tests;

/// Writes errors; knows the types their details may have. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pools: Arc<[DescriptorPool]>,
    options: SerializeOptions,
}

/// `google.rpc.Status`.
#[derive(Serialize)]
struct Written<'s> {
    code: i32,
    message: &'s str,
    details: Vec<Value>,
}

impl Details {
    /// Looks types up in these pools, and in Google's error details before them.
    pub(crate) fn new(pools: impl IntoIterator<Item = DescriptorPool>, json: &Json) -> Self {
        let google = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).ok();
        Self { pools: google.into_iter().chain(pools).collect(), options: json::options(json) }
    }

    /// `{"code","message","details"}`; a detail of an unknown type stays opaque, and never costs the rest. Stack traces
    /// (`google.rpc.DebugInfo`) are for the log, not for clients.
    pub(crate) fn json(&self, status: &Status) -> Vec<u8> {
        let details = pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
        let details = details.iter().filter(|any| !any.type_url.ends_with("/google.rpc.DebugInfo"));
        let details = details.map(|any| self.detail(&any.type_url, &any.value)).collect();
        let written = Written { code: status.code().into(), message: status.message(), details };
        serde_json::to_vec(&written).unwrap_or_default()
    }

    fn detail(&self, type_url: &str, value: &[u8]) -> Value {
        self.known(type_url, value)
            .unwrap_or_else(|| serde_json::json!({ "@type": type_url, "value": BASE64_STANDARD.encode(value) }))
    }

    fn known(&self, type_url: &str, value: &[u8]) -> Option<Value> {
        let name = type_url.rsplit('/').next()?;
        let descriptor = self.pools.iter().find_map(|pool| pool.get_message_by_name(name))?;
        let message = DynamicMessage::decode(descriptor, value).ok()?;
        let json = message.serialize_with_options(serde_json::value::Serializer, &self.options).ok()?;
        match json {
            Value::Object(mut object) => {
                object.insert("@type".to_owned(), type_url.into());
                Some(Value::Object(object))
            }
            // Well-known types with a form of their own.
            other => Some(serde_json::json!({ "@type": type_url, "value": other })),
        }
    }
}
