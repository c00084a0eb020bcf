//! What methods declare about themselves: Malla's options, read from descriptors.
//!
//! Services guard their RPCs by these and the edge takes its rules from them, so neither holds a list of methods.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, ReflectMessage as _, Value};

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
    /// What single HTTP bindings need beyond their rule.
    pub bindings: Vec<Binding>,
    /// A `google.api.HttpRule` declared in place of the method's own, for RPCs of foreign protos.
    pub http: Option<DynamicMessage>,
}

impl Default for MethodPolicy {
    /// What holds for a method that declares nothing: anyone may call it, a success is 200.
    fn default() -> Self {
        Self {
            access: Access::Anyone,
            success_status: 200,
            deadline: None,
            deferrable: false,
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

/// The policies of all methods of a descriptor pool, by gRPC path (`/pkg.Service/Method`).
#[derive(Clone, Debug, Default)]
pub struct Policies(HashMap<String, MethodPolicy>);

impl Policies {
    /// Reads the policies of a pool. Methods that declare none are absent; a pool that does not know
    /// `malla.options.v1` gives an empty table.
    #[must_use]
    pub fn from_pool(pool: &DescriptorPool) -> Self {
        let mut policies = HashMap::new();
        if let Some(extension) = pool.get_extension_by_name("malla.options.v1.method") {
            for service in pool.services() {
                for method in service.methods() {
                    let options = method.options();
                    if options.has_extension(&extension)
                        && let Some(policy) = options.get_extension(&extension).as_message()
                    {
                        policies.insert(format!("/{}/{}", service.full_name(), method.name()), method_policy(policy));
                    }
                }
            }
        }
        if let Some(extension) = pool.get_extension_by_name("malla.options.v1.foreign") {
            policies.extend(foreign_policies(pool, &extension));
        }
        Self(policies)
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

fn foreign_policies(pool: &DescriptorPool, extension: &ExtensionDescriptor) -> Vec<(String, MethodPolicy)> {
    let mut found = Vec::new();
    for file in pool.files() {
        let options = file.options();
        let Value::List(entries) = options.get_extension(extension).into_owned() else { continue };
        for entry in entries.iter().filter_map(Value::as_message) {
            let name = text(entry, "name");
            let Some((service, method)) = name.rsplit_once('.') else { continue };
            let mut policy =
                message(entry, "policy").map_or_else(MethodPolicy::default, |policy| method_policy(&policy));
            policy.http = message(entry, "http");
            found.push((format!("/{service}/{method}"), policy));
        }
    }
    found
}

fn method_policy(message: &DynamicMessage) -> MethodPolicy {
    let bindings = list(message, "bindings").iter().filter_map(Value::as_message).map(binding).collect();
    let deadline_ms = number(message, "deadline_ms");
    MethodPolicy {
        access: access(message),
        success_status: status(message).unwrap_or(200),
        deadline: u64::try_from(deadline_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis),
        deferrable: message.get_field_by_name("deferrable").and_then(|value| value.as_bool()).unwrap_or(false),
        bindings,
        http: None,
    }
}

/// An access this version does not know is taken for the strictest.
fn access(message: &DynamicMessage) -> Access {
    match message.get_field_by_name("access").and_then(|value| value.as_enum_number()) {
        Some(1) => Access::Anyone,
        Some(2) => Access::User,
        Some(3) => Access::Operator,
        _ => Access::Service,
    }
}

fn binding(message: &DynamicMessage) -> Binding {
    let required_query = list(message, "required_query");
    let aliases = match message.get_field_by_name("aliases").map(std::borrow::Cow::into_owned) {
        Some(Value::Map(entries)) => entries
            .iter()
            .filter_map(|(name, path)| Some((name.as_str()?.to_owned(), path.as_str()?.to_owned())))
            .collect(),
        _ => BTreeMap::new(),
    };
    Binding {
        pattern: text(message, "pattern"),
        required_query: required_query.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        lenient: message.get_field_by_name("lenient").and_then(|value| value.as_bool()).unwrap_or(false),
        aliases,
        success_status: status(message),
    }
}

fn status(message: &DynamicMessage) -> Option<u16> {
    u16::try_from(number(message, "success_status")).ok().filter(|status| (200..300).contains(status))
}

fn number(message: &DynamicMessage, name: &str) -> i32 {
    message.get_field_by_name(name).and_then(|value| value.as_i32()).unwrap_or(0)
}

fn list(message: &DynamicMessage, name: &str) -> Vec<Value> {
    message.get_field_by_name(name).and_then(|value| value.as_list().map(<[Value]>::to_vec)).unwrap_or_default()
}

fn text(message: &DynamicMessage, name: &str) -> String {
    message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn message(parent: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let field = parent.descriptor().get_field_by_name(name)?;
    if parent.has_field(&field) { parent.get_field(&field).as_message().cloned() } else { None }
}
