//! One thing found, for people (`Display`) and for machines (`Serialize`).

use std::fmt;

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The binding works, but hardly as it was meant.
    Warning,
    /// The binding cannot be served.
    Error,
}

/// Something that is wrong with a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub code: Code,
    /// The file that declares it, as its descriptor or its configuration is named.
    pub file: String,
    /// Its line there, from 1; 0 if it is not known.
    pub line: u32,
    /// The RPC's full name; of a configuration's rule that is for none, its selector.
    pub method: String,
    /// `GET /v1/items/{id}`
    pub binding: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl Finding {
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, code, file, line, method, binding, message, help } = self;
        let severity = if *severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{}: {severity}[{code}]: {method}", super::place(file, *line))?;
        if !binding.is_empty() {
            write!(f, ": \"{binding}\"")?;
        }
        write!(f, ": {message}")?;
        if help.is_empty() { Ok(()) } else { write!(f, "; {help}") }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $code:ident = $name:literal, $severity:ident;)*) => {
        /// What can be found. Displayed, and written for machines, in kebab-case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])* $code,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// How bad it is, unless an option makes it less.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$code => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// The path is no template.
    BadTemplate = "bad-template", Error;
    /// The kind of a custom pattern is no HTTP method.
    BadMethod = "bad-method", Error;
    /// A rule without HTTP method and path.
    NoPattern = "no-pattern", Warning;
    /// `additional_bindings` within `additional_bindings`.
    NestedBindings = "nested-bindings", Error;
    /// An additional binding has another `body` than its rule (AIP-127).
    BodyDiffers = "body-differs", Warning;
    /// A configuration's selector matches no method.
    UnknownSelector = "unknown-selector", Error;
    /// A variable names no field.
    UnknownField = "unknown-field", Error;
    /// A variable's way goes through a field that is no single message.
    NotAMessage = "not-a-message", Error;
    /// A variable is for a field that may have several values.
    RepeatedVariable = "repeated-variable", Error;
    /// A variable is for a message that is not written as text.
    MessageVariable = "message-variable", Error;
    /// A variable or body is, or is in, a proto2 group.
    Group = "group", Error;
    /// `body` or `response_body` names no field.
    UnknownBody = "unknown-body", Error;
    /// `body` or `response_body` is the field of a field.
    DottedBody = "dotted-body", Error;
    /// `response_body` is `*`: to leave it out means the same.
    StarResponseBody = "star-response-body", Error;
    /// A variable is for the very field that the body is.
    VariableIsBody = "variable-is-body", Error;
    /// GET or DELETE with a body, which the ways between may drop (RFC 9110 9.3.1).
    UnusualBody = "unusual-body", Warning;
    /// A field that neither path, query nor body can set.
    UnboundField = "unbound-field", Warning;
    /// A field's name in JSON is another field's too.
    JsonName = "json-name", Warning;
    /// Two bindings that no request can tell apart.
    Clash = "clash", Error;
    /// For each request it matches another binding comes first, but where its `**` is empty.
    Shadowed = "shadowed", Warning;
    /// For each request it matches another binding comes first.
    Unreachable = "unreachable", Warning;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
