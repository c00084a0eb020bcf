//! `malla/options/v1/options.proto` as it lies in descriptors: the options, and the way to them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::{Access, Binding, Keys, MethodPolicy};

/// Whose files declare the options.
pub(super) const PACKAGE: &str = "malla.options.v1";

/// `google.protobuf.FileDescriptorSet`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Set {
    #[prost(message, repeated, tag = "1")]
    pub(super) file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct File {
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(message, repeated, tag = "6")]
    pub(super) service: Vec<Service>,
    #[prost(message, optional, tag = "8")]
    pub(super) options: Option<FileOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileOptions {
    #[prost(message, repeated, tag = "51602")]
    pub(super) foreign: Vec<Foreign>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Service {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) method: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Method {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "4")]
    pub(super) options: Option<MethodOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodOptions {
    #[prost(message, optional, tag = "51601")]
    pub(super) policy: Option<Policy>,
}

/// `MethodPolicy`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Policy {
    #[prost(int32, tag = "1")]
    access: i32,
    #[prost(int32, tag = "2")]
    success_status: i32,
    #[prost(int32, tag = "3")]
    deadline_ms: i32,
    #[prost(bool, tag = "4")]
    deferrable: bool,
    #[prost(message, repeated, tag = "5")]
    bindings: Vec<BindingOptions>,
    #[prost(int32, tag = "6")]
    keys: i32,
    #[prost(string, tag = "7")]
    resume_field: String,
    #[prost(string, tag = "8")]
    event_id_field: String,
}

/// `Binding`.
#[derive(Clone, PartialEq, Message)]
struct BindingOptions {
    #[prost(string, tag = "1")]
    pattern: String,
    #[prost(string, repeated, tag = "2")]
    required_query: Vec<String>,
    #[prost(bool, tag = "3")]
    lenient: bool,
    #[prost(btree_map = "string, string", tag = "4")]
    aliases: BTreeMap<String, String>,
    #[prost(int32, tag = "5")]
    success_status: i32,
}

/// `ForeignMethod`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Foreign {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) policy: Option<Policy>,
    /// A message, left to whoever serves HTTP.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(super) http: Option<Bytes>,
}

impl From<&Policy> for MethodPolicy {
    fn from(policy: &Policy) -> Self {
        Self {
            // One this version does not know is taken for the strictest.
            access: match policy.access {
                0 => Access::Unspecified,
                1 => Access::Anyone,
                2 => Access::User,
                3 => Access::Operator,
                5 => Access::OptionalUser,
                _ => Access::Service,
            },
            success_status: status(policy.success_status).unwrap_or(200),
            deadline: u64::try_from(policy.deadline_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis),
            deferrable: policy.deferrable,
            keys: match policy.keys {
                1 => Keys::Made,
                2 => Keys::Own,
                _ => Keys::Kept,
            },
            resume_field: policy.resume_field.clone(),
            event_id_field: policy.event_id_field.clone(),
            bindings: policy.bindings.iter().map(Binding::from).collect(),
            http: None,
        }
    }
}

impl From<&BindingOptions> for Binding {
    fn from(binding: &BindingOptions) -> Self {
        Self {
            pattern: binding.pattern.clone(),
            required_query: binding.required_query.clone(),
            lenient: binding.lenient,
            aliases: binding.aliases.clone(),
            success_status: status(binding.success_status),
        }
    }
}

fn status(written: i32) -> Option<u16> {
    u16::try_from(written).ok().filter(|status| (200..300).contains(status))
}
