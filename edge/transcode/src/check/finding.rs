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
    /// The file that declares it, as its descriptor or its configuration is named; or the key of a setting.
    pub file: String,
    /// Its line there, from 1; 0 if it is not known.
    pub line: u32,
    /// The RPC's full name, or the service's; of a configuration's rule that is for none, its selector.
    pub method: String,
    /// `GET /v1/items/{id}`
    pub binding: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl Finding {
    /// A finding about a method or, where it has no place there, about what else is named; as bad as its code is.
    #[must_use]
    pub fn new(code: Code, file: &str, line: u32, method: &str, message: impl Into<String>) -> Self {
        Self {
            severity: code.severity(),
            code,
            file: file.to_owned(),
            line,
            method: method.to_owned(),
            binding: String::new(),
            message: message.into(),
            help: String::new(),
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, code, file, line, method, binding, message, help } = self;
        let severity = if *severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{}: {severity}[{code}]", super::place(file, *line))?;
        if !method.is_empty() {
            write!(f, ": {method}")?;
        }
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
    /// Descriptors cannot be read.
    BadDescriptors = "bad-descriptors", Error;
    /// A service that is to be served is not in its descriptors.
    UnknownService = "unknown-service", Error;
    /// A service of which another server has the methods.
    ServedTwice = "served-twice", Error;
    /// A method whose name cannot be part of a URI.
    BadName = "bad-name", Error;
    /// A rule in a method's policy is none.
    BadRule = "bad-rule", Error;
    /// A method's policy is about a binding that the method has not.
    UnknownBinding = "unknown-binding", Error;
    /// A path that whoever serves the table answers itself.
    OwnPath = "own-path", Error;
    /// Variables, body and policy of a binding contradict each other, or do not fit its messages.
    Misfit = "misfit", Error;
    /// Settings for a route that is not there.
    UnknownRoute = "unknown-route", Error;
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
