//! The part of `descriptor.proto`, and of the options other files add to it, that this crate reads.
//!
//! Own types rather than prost-types': those drop every extension they do not know, `google.api.http` among them.

use prost::{Enumeration, Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileDescriptorSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) file: Vec<FileDescriptorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) package: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) message_type: Vec<DescriptorProto>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) enum_type: Vec<EnumDescriptorProto>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) service: Vec<ServiceDescriptorProto>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) extension: Vec<FieldDescriptorProto>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FileOptions>,
    #[prost(message, optional, tag = "9")]
    pub(crate) source_code_info: Option<SourceCodeInfo>,
    #[prost(string, tag = "12")]
    pub(crate) syntax: String,
    #[prost(int32, tag = "14")]
    pub(crate) edition: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) field: Vec<FieldDescriptorProto>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nested_type: Vec<DescriptorProto>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) enum_type: Vec<EnumDescriptorProto>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) extension: Vec<FieldDescriptorProto>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneof_decl: Vec<OneofDescriptorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) extendee: String,
    #[prost(int32, tag = "3")]
    pub(crate) number: i32,
    #[prost(enumeration = "Label", tag = "4")]
    pub(crate) label: i32,
    #[prost(int32, tag = "5")]
    pub(crate) r#type: i32,
    #[prost(string, tag = "6")]
    pub(crate) type_name: String,
    #[prost(string, optional, tag = "7")]
    pub(crate) default_value: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FieldOptions>,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) oneof_index: Option<u32>,
    #[prost(string, optional, tag = "10")]
    pub(crate) json_name: Option<String>,
    #[prost(bool, tag = "17")]
    pub(crate) proto3_optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
pub(crate) enum Label {
    Unknown = 0,
    Optional = 1,
    Required = 2,
    Repeated = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OneofDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<OneofOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) value: Vec<EnumValueDescriptorProto>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<EnumOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumValueDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) number: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) method: Vec<MethodDescriptorProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MethodDescriptorProto {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) input_type: String,
    #[prost(string, tag = "3")]
    pub(crate) output_type: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<MethodOptions>,
    #[prost(bool, tag = "5")]
    pub(crate) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(crate) server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileOptions {
    #[prost(message, optional, tag = "50")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MessageOptions {
    #[prost(bool, tag = "1")]
    pub(crate) message_set_wire_format: bool,
    #[prost(bool, tag = "3")]
    pub(crate) deprecated: bool,
    #[prost(bool, tag = "7")]
    pub(crate) map_entry: bool,
    #[prost(message, optional, tag = "12")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldOptions {
    #[prost(bool, optional, tag = "2")]
    pub(crate) packed: Option<bool>,
    #[prost(bool, tag = "3")]
    pub(crate) deprecated: bool,
    #[prost(bool, tag = "16")]
    pub(crate) debug_redact: bool,
    #[prost(message, optional, tag = "21")]
    pub(crate) features: Option<FeatureSet>,
    /// `google.api.field_behavior`.
    #[prost(int32, repeated, tag = "1052")]
    pub(crate) field_behavior: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OneofOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumOptions {
    #[prost(bool, tag = "3")]
    pub(crate) deprecated: bool,
    #[prost(message, optional, tag = "7")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MethodOptions {
    #[prost(bool, tag = "33")]
    pub(crate) deprecated: bool,
    #[prost(int32, tag = "34")]
    pub(crate) idempotency_level: i32,
    /// `google.api.http`.
    #[prost(message, optional, tag = "72295728")]
    pub(crate) http: Option<HttpRule>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FeatureSet {
    #[prost(int32, optional, tag = "1")]
    pub(crate) field_presence: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) enum_type: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) repeated_field_encoding: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) utf8_validation: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) message_encoding: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SourceCodeInfo {
    #[prost(message, repeated, tag = "1")]
    pub(crate) location: Vec<Location>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Location {
    #[prost(int32, repeated, tag = "1")]
    pub(crate) path: Vec<i32>,
    #[prost(int32, repeated, tag = "2")]
    pub(crate) span: Vec<i32>,
    #[prost(string, tag = "3")]
    pub(crate) leading_comments: String,
    #[prost(string, tag = "4")]
    pub(crate) trailing_comments: String,
}

/// `google.api.HttpRule`: how a method is called over HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRule {
    /// The method it is about; only in a service's configuration, ignored in an annotation.
    #[prost(string, tag = "1")]
    pub selector: String,
    /// The HTTP method and the path's template.
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pub pattern: Option<Pattern>,
    /// The field that the body is; `*` for the whole message, empty for none.
    #[prost(string, tag = "7")]
    pub body: String,
    /// Further ways to call the method.
    #[prost(message, repeated, tag = "11")]
    pub additional_bindings: Vec<HttpRule>,
    /// The field that the answer's body is; empty for the whole message.
    #[prost(string, tag = "12")]
    pub response_body: String,
}

/// An HTTP method with a path's template.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Pattern {
    /// `GET`.
    #[prost(string, tag = "2")]
    Get(String),
    /// `PUT`.
    #[prost(string, tag = "3")]
    Put(String),
    /// `POST`.
    #[prost(string, tag = "4")]
    Post(String),
    /// `DELETE`.
    #[prost(string, tag = "5")]
    Delete(String),
    /// `PATCH`.
    #[prost(string, tag = "6")]
    Patch(String),
    /// Any other.
    #[prost(message, tag = "8")]
    Custom(CustomHttpPattern),
}

/// An HTTP method that has no field of its own in [`HttpRule`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CustomHttpPattern {
    /// The method, or `*` for every one.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// The path's template.
    #[prost(string, tag = "2")]
    pub path: String,
}
