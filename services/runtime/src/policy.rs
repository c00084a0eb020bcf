//! What methods declare about themselves: Malla's options, read from descriptors.
//!
//! Services guard their RPCs by these and the edge takes its rules from them, so neither holds a list of methods. Read
//! are the few fields of a descriptor that lead to an option, and nothing else: whatever syntax or edition the rest has.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use prost::{DecodeError, Message as _};

mod options;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, with or without credentials.
    Anyone,
    /// A logged-in user.
    User,
    /// An operator of the mesh.
    Operator,
    /// Only other services of the mesh; never through the edge.
    Service,
    /// Anyone; whoever sends an access token is known by it.
    OptionalUser,
    /// Not declared. As [`Access::Service`], where nobody else checks the callers.
    Unspecified,
}

/// What becomes of an idempotency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// It is kept with what the call did, where the call can do something.
    #[default]
    Kept,
    /// As before, and a call without one is given one.
    Made,
    /// The method sees to it.
    Own,
}

/// What one method declares about itself.
#[derive(Clone, Debug)]
pub struct MethodPolicy {
    /// Who may call it.
    pub access: Access,
    /// HTTP status of a success at the REST edge, 200 to 299.
    pub success_status: u16,
    /// The longest a call may take; `None` means the process's default.
    pub deadline: Option<Duration>,
    /// Whether the call may be accepted now and carried out later.
    pub deferrable: bool,
    /// What becomes of a key that comes with a call.
    pub keys: Keys,
    /// The request's field that takes the id of the last event a client has seen; empty for none.
    pub resume_field: String,
    /// The path from the response to the id that an element of its stream has; empty for none.
    pub event_id_field: String,
    /// What single HTTP bindings need beyond their rule.
    pub bindings: Vec<Binding>,
    /// A `google.api.HttpRule`, encoded, declared in place of the method's own, for RPCs of foreign protos.
    pub http: Option<Bytes>,
}

impl Default for MethodPolicy {
    /// What holds for a method that declares nothing: anyone may call it, a success is 200.
    fn default() -> Self {
        Self {
            access: Access::Anyone,
            success_status: 200,
            deadline: None,
            deferrable: false,
            keys: Keys::Kept,
            resume_field: String::new(),
            event_id_field: String::new(),
            bindings: Vec::new(),
            http: None,
        }
    }
}

/// Additions to one HTTP binding of a method.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// HTTP method, a space and the path template.
    pub pattern: String,
    /// Query parameters that must be present for the binding to match.
    pub required_query: Vec<String>,
    /// Accepts what loosely typed clients send.
    pub lenient: bool,
    /// Names old clients use -> field path.
    pub aliases: BTreeMap<String, String>,
    /// HTTP status of a success, in place of the method's.
    pub success_status: Option<u16>,
}

/// The policies of all methods of a set of descriptors, by gRPC path (`/pkg.Service/Method`).
#[derive(Clone, Debug, Default)]
pub struct Policies(HashMap<String, MethodPolicy>);

impl Policies {
    /// Reads the policies of an encoded `FileDescriptorSet`. Methods that declare none are absent; a set without
    /// `malla.options.v1` gives an empty table, for there the same numbers may be anyone's.
    ///
    /// # Errors
    /// The bytes are no descriptors.
    pub fn read(descriptors: &[u8]) -> Result<Self, DecodeError> {
        let files = options::Set::decode(descriptors)?.file;
        let mut policies = HashMap::new();
        if !files.iter().any(|file| file.package == options::PACKAGE) {
            return Ok(Self(policies));
        }
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    if let Some(policy) = method.options.as_ref().and_then(|options| options.policy.as_ref()) {
                        let dot = if file.package.is_empty() { "" } else { "." };
                        let path = format!("/{}{dot}{}/{}", file.package, service.name, method.name);
                        policies.insert(path, policy.into());
                    }
                }
            }
        }
        for foreign in files.iter().filter_map(|file| file.options.as_ref()).flat_map(|options| &options.foreign) {
            let Some((service, method)) = foreign.name.rsplit_once('.') else { continue };
            let policy = foreign.policy.as_ref().map_or_else(MethodPolicy::default, MethodPolicy::from);
            policies.insert(format!("/{service}/{method}"), MethodPolicy { http: foreign.http.clone(), ..policy });
        }
        Ok(Self(policies))
    }

    /// The policy of a method, by gRPC path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&MethodPolicy> {
        self.0.get(path)
    }

    /// Keeps the methods of the given services (full names) only.
    #[must_use]
    pub fn of_services(mut self, services: &[String]) -> Self {
        self.0.retain(|path, _| {
            path.trim_start_matches('/')
                .rsplit_once('/')
                .is_some_and(|(service, _)| services.iter().any(|s| s == service))
        });
        self
    }

    /// Whether any method is for callers of this kind.
    #[must_use]
    pub fn any(&self, access: Access) -> bool {
        self.0.values().any(|policy| policy.access == access)
    }
}
