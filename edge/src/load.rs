//! Descriptor bytes to a routing table. Everything that is wrong is found at once, before anything is served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use malla_runtime::link::Link;
use malla_runtime::policy::{Access, Binding as BindingPolicy, MethodPolicy, Policies};
use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::codec::{Details, RequestPlan, ResponsePlan, Spec};
use crate::config::Config;
use crate::pages;
use crate::route::rule::{self, HttpBinding};
use crate::route::table::{Rule, Table};
use crate::route::template::Template;

#[cfg(test)]
mod tests;

/// Services the edge answers itself, whoever else serves them.
pub(crate) const OWN_SERVICES: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// A gRPC backend and how to reach it.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its short name: "orders".
    pub name: String,
    /// Full names of the gRPC services it serves.
    pub services: Vec<String>,
    /// An encoded `google.protobuf.FileDescriptorSet` with those services and all imports.
    pub descriptors: Bytes,
    /// The way to it.
    pub link: Link,
}

/// Everything that keeps a set of backends from being served, each naming the method and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{} problem(s) in the routes:\n  {}", .0.len(), .0.join("\n  "))]
pub struct LoadError(pub Vec<String>);

/// One RPC.
#[derive(Debug)]
pub(crate) struct Method {
    /// `/pkg.Service/Method`
    pub(crate) path: PathAndQuery,
    pub(crate) backend: String,
    pub(crate) link: Link,
    pub(crate) access: Access,
    /// The longest a call may take.
    pub(crate) deadline: Duration,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
}

impl Method {
    /// `pkg.Service/Method`
    pub(crate) fn name(&self) -> &str {
        self.path.path().trim_start_matches('/')
    }
}

/// One HTTP binding of an RPC.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) method: Arc<Method>,
    pub(crate) request: RequestPlan,
    pub(crate) response: ResponsePlan,
    pub(crate) success: StatusCode,
}

/// What a set of backends comes to.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) table: Table<Binding>,
    /// By gRPC path; without the methods that are for services only.
    pub(crate) methods: HashMap<String, Arc<Method>>,
    pub(crate) details: Details,
}

/// Loads all backends.
pub(crate) fn load(config: &Config, backends: &[Backend]) -> Result<Loaded, LoadError> {
    let mut loader = Loader {
        config,
        table: Table::default(),
        methods: HashMap::new(),
        services: HashMap::new(),
        problems: Vec::new(),
    };
    let mut pools = Vec::new();
    for backend in backends {
        match DescriptorPool::decode(backend.descriptors.clone()) {
            Ok(pool) => {
                loader.backend(backend, &pool);
                pools.push(pool);
            }
            Err(error) => loader.problems.push(format!("{}: its descriptors cannot be read: {error}", backend.name)),
        }
    }
    if !loader.problems.is_empty() {
        return Err(LoadError(loader.problems));
    }
    Ok(Loaded { table: loader.table, methods: loader.methods, details: Details::new(pools, &config.json) })
}

struct Loader<'l> {
    config: &'l Config,
    table: Table<Binding>,
    methods: HashMap<String, Arc<Method>>,
    /// Each service, and the backend that serves it.
    services: HashMap<String, String>,
    problems: Vec<String>,
}

impl Loader<'_> {
    fn backend(&mut self, backend: &Backend, pool: &DescriptorPool) {
        let policies = Policies::from_pool(pool);
        for name in backend.services.iter().filter(|name| !OWN_SERVICES.contains(&name.as_str())) {
            let Some(service) = pool.get_service_by_name(name) else {
                self.problems.push(format!("{}: {name} is not in its descriptors", backend.name));
                continue;
            };
            if let Some(other) = self.services.insert(name.clone(), backend.name.clone()) {
                self.problems.push(format!("{name}: served by {other} and by {}; leave one out", backend.name));
                continue;
            }
            for method in service.methods() {
                let path = format!("/{name}/{}", method.name());
                let policy = policies.get(&path).cloned().unwrap_or_default();
                // Not reachable through the edge: as if it did not exist.
                if policy.access == Access::Service {
                    continue;
                }
                self.method(backend, &method, &path, &policy);
            }
        }
    }

    fn method(&mut self, backend: &Backend, descriptor: &MethodDescriptor, path: &str, policy: &MethodPolicy) {
        let name = descriptor.full_name();
        let Ok(uri) = PathAndQuery::try_from(path) else {
            return self.problems.push(format!("{name}: cannot be part of a URI"));
        };
        let method = Arc::new(Method {
            path: uri,
            backend: backend.name.clone(),
            link: backend.link.clone(),
            access: policy.access,
            deadline: policy.deadline.unwrap_or(Duration::from_millis(self.config.deadline_ms)),
            client_streaming: descriptor.is_client_streaming(),
            server_streaming: descriptor.is_server_streaming(),
        });
        self.methods.insert(path.to_owned(), method.clone());
        let declared = policy.http.as_ref().map(|rule| rule.encode_to_vec());
        let bindings = match rule::bindings(descriptor, declared.as_deref()) {
            Ok(bindings) => bindings,
            Err(problem) => return self.problems.push(format!("{name}: {problem}")),
        };
        for declared in &policy.bindings {
            if !bindings.iter().any(|binding| pattern(binding) == declared.pattern) {
                let problem =
                    format!("{name}: the policy's binding \"{}\" is none of its HTTP rules", declared.pattern);
                self.problems.push(problem);
            }
        }
        for binding in &bindings {
            let pattern = pattern(binding);
            let declared = policy.bindings.iter().find(|declared| declared.pattern == pattern);
            if let Err(problems) = self.bind(descriptor, &method, policy, binding, declared) {
                self.problems.extend(problems.into_iter().map(|problem| format!("{name}: \"{pattern}\": {problem}")));
            }
        }
    }

    fn bind(
        &mut self,
        descriptor: &MethodDescriptor,
        method: &Arc<Method>,
        policy: &MethodPolicy,
        binding: &HttpBinding,
        declared: Option<&BindingPolicy>,
    ) -> Result<(), Vec<String>> {
        let template = Template::parse(&binding.path).map_err(|error| vec![error.to_string()])?;
        if pages::is_own(&binding.path) {
            return Err(vec!["the edge answers this path itself; choose another".to_owned()]);
        }
        let declared = declared.cloned().unwrap_or_default();
        let spec = Spec {
            variables: template.variables.iter().map(|variable| variable.field_path.clone()).collect(),
            body: binding.body.clone(),
            lenient: declared.lenient,
            aliases: declared.aliases,
            ignored_query: self.config.ignored_query.clone(),
        };
        let request = RequestPlan::compile(descriptor, spec);
        let response = ResponsePlan::compile(descriptor, &binding.response_body, &self.config.json);
        let (request, response) = match (request, response) {
            (Ok(request), Ok(response)) => (request, response),
            (request, response) => {
                return Err(request.err().into_iter().flatten().chain(response.err()).collect());
            }
        };
        let success = StatusCode::from_u16(declared.success_status.unwrap_or(policy.success_status));
        let success = success.map_err(|error| vec![error.to_string()])?;
        let rule = Rule {
            http_method: binding.http_method.clone(),
            template,
            required_query: declared.required_query,
            rpc: descriptor.full_name().to_owned(),
            value: Binding { method: method.clone(), request, response, success },
        };
        self.table.insert(rule).map_err(|conflict| vec![conflict.to_string()])
    }
}

fn pattern(binding: &HttpBinding) -> String {
    format!("{} {}", binding.http_method, binding.path)
}
