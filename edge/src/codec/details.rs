//! The details of a `google.rpc.Status` as JSON, resolved from what the backends and Google's own protos declare.

use prost::Message as _;
use serde_json::value::RawValue;
use tonic::Status;
use tonic_types::pb;

use super::{JsonPlan, Types};
use crate::config::Json;

#[cfg(test)]
mod tests;

/// Writes the details of errors, whatever type they have.
#[derive(Debug)]
pub(crate) struct Details {
    /// Of a `google.protobuf.Any`.
    any: Option<JsonPlan>,
}

impl Details {
    /// Writes details of these types.
    pub(crate) fn new(types: &Types, json: &Json) -> Self {
        let any = types.get("google.protobuf.Any");
        Self { any: any.map(|(schema, id)| JsonPlan::whole(schema, id, json, types)) }
    }

    /// The details of a status; one of an unknown type stays opaque, and never costs the rest. Stack traces
    /// (`google.rpc.DebugInfo`) are for the log, not for clients.
    pub(crate) fn list(&self, status: &Status) -> Vec<Box<RawValue>> {
        let details = pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
        let details = details.iter().filter(|any| !any.type_url.ends_with("/google.rpc.DebugInfo"));
        details.filter_map(|any| self.detail(&any.encode_to_vec())).collect()
    }

    fn detail(&self, any: &[u8]) -> Option<Box<RawValue>> {
        let text = self.any.as_ref()?.text(any).ok()?;
        serde_json::from_slice(&text).ok()
    }
}
