//! Descriptor bytes to a routing table. Everything that is wrong is found at once, before anything is served.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::uri::PathAndQuery;
use malla_runtime::link::{AddressError, Link};
use malla_runtime::policy::{Access, Binding as BindingPolicy, Keys, MethodPolicy, Policies};
use malla_transcode::Schema;
use malla_transcode::bind::{self, RequestOptions};
use malla_transcode::check::{self, Code, Finding, Route, Severity};
use malla_transcode::percent::Keep;
use malla_transcode::rule::{self, ConfigRule};
use malla_transcode::schema::{HttpRule, Idempotency, Kind, Method as Descriptor};
use malla_transcode::table::{Rule, Table};
use prost::Message as _;
use tonic::service::Routes;

use crate::call::retry::{Budget, Budgets};
use crate::codec::{Details, JsonPlan, RequestPlan, ResponsePlan, Types};
use crate::config::{Config, ControlCharacters, Options, Unknown};
use crate::defer::OPERATION;
use crate::errors::Writer;
use crate::pages;

mod problems;
#[cfg(test)]
mod tests;

pub use problems::LoadError;
pub(crate) use problems::Problems;

/// Services the edge answers itself, whoever else serves them.
pub const OWN_SERVICES: [&str; 3] =
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
    /// Not one of the mesh's own. It checks its callers itself, and routes of it that cannot be served are left out, where
    /// those of the mesh's own keep the edge from being built. Methods for services only are out of reach in any case.
    /// While it is down the edge as a whole still counts as SERVING, as long as another backend serves.
    pub foreign: bool,
}

impl Backend {
    /// A gRPC server of this process, called without a socket. `services` are the full names of those to serve
    /// (`NamedService::NAME` of generated servers), `descriptors` an encoded `google.protobuf.FileDescriptorSet` with
    /// them, all imports and all options (see `Schema` in `malla_transcode`).
    #[must_use]
    pub fn local<S: Into<String>>(
        name: &str,
        services: impl IntoIterator<Item = S>,
        descriptors: impl Into<Bytes>,
        routes: Routes,
    ) -> Self {
        Self::new(name, services, descriptors, Link::alone(name, routes))
    }

    /// The same for a gRPC server elsewhere: `http://host:port` or `https://host:port`, or several addresses with commas
    /// between, among which calls are balanced. It connects on first use. To be made within a Tokio runtime. What else
    /// TLS may need, [`Link::secured`] takes.
    ///
    /// # Errors
    /// The address is none.
    pub fn remote<S: Into<String>>(
        name: &str,
        services: impl IntoIterator<Item = S>,
        descriptors: impl Into<Bytes>,
        address: &str,
    ) -> Result<Self, AddressError> {
        Ok(Self::new(name, services, descriptors, Link::remote(name, &address.parse()?)))
    }

    fn new<S: Into<String>>(
        name: &str,
        services: impl IntoIterator<Item = S>,
        descriptors: impl Into<Bytes>,
        link: Link,
    ) -> Self {
        let services = services.into_iter().map(Into::into).collect();
        Self { name: name.to_owned(), services, descriptors: descriptors.into(), link, foreign: false }
    }
}

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
    pub(crate) keys: Keys,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    /// Whether it declares that doing it twice is as good as once.
    pub(crate) idempotent: bool,
    /// Of all methods of its backend.
    pub(crate) retries: Arc<Budget>,
    /// Whether the call may be accepted now and carried out later: it is declared, and what stands for it known.
    pub(crate) deferrable: bool,
    /// Full name of the message it answers with.
    pub(crate) response_type: String,
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
    pub(crate) request: Arc<RequestPlan>,
    pub(crate) response: ResponsePlan,
    pub(crate) success: StatusCode,
    pub(crate) declared: Declared,
    /// What its messages are declared in.
    pub(crate) schema: Arc<Schema>,
    /// Writes its errors.
    pub(crate) errors: Arc<Writer>,
    /// Writes what stands for a call that is carried out later, where it may be.
    pub(crate) operation: Option<JsonPlan>,
    /// The number of the request's field for the id of the last event that a client has seen.
    pub(crate) resume: Option<u32>,
}

/// What a binding was made from, for those who read of it.
#[derive(Debug)]
pub(crate) struct Declared {
    /// `body` and `response_body` of its rule.
    pub(crate) body: String,
    pub(crate) response_body: String,
    pub(crate) lenient: bool,
    /// Other names of fields: parameter or JSON key -> field path.
    pub(crate) aliases: BTreeMap<String, String>,
    /// What the settings say of it.
    pub(crate) options: Options,
}

/// What a set of backends comes to.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) table: Table<Binding>,
    /// By gRPC path; without the methods that are for services only.
    pub(crate) methods: HashMap<String, Arc<Method>>,
    /// Writes errors of no route.
    pub(crate) errors: Arc<Writer>,
    /// What is wrong with the routes that were left out.
    pub(crate) left_out: Vec<String>,
    /// What the settings say of routes and methods that are not there.
    pub(crate) unmatched: Vec<String>,
    /// Which escapes path variables keep.
    pub(crate) keep: Keep,
}

/// Loads all backends, by the rules of their contracts and those that take their place.
pub(crate) fn load(
    config: &Config,
    rules: &rule::Config,
    retries: &Budgets,
    backends: &[Backend],
) -> Result<Loaded, LoadError> {
    let (loaded, Problems { fatal, .. }) = inspect(config, rules, retries, backends);
    if fatal.is_empty() { Ok(loaded) } else { Err(LoadError(fatal)) }
}

/// The same with all that is wrong; what is fatal is not in the table.
pub(crate) fn inspect(
    config: &Config,
    rules: &rule::Config,
    retries: &Budgets,
    backends: &[Backend],
) -> (Loaded, Problems) {
    let mut problems = Problems::default();
    let read = |backend| Source::read(backend, retries, &mut problems);
    let sources: Vec<Source<'_>> = backends.iter().filter_map(read).collect();
    let types = Types::new(sources.iter().map(|source| source.schema.clone()));
    let mut served = Served::default();
    for source in &sources {
        served.add(config, &types, source, &mut problems);
    }
    let declared = served.declare(config, rules, &mut problems);
    let table =
        Tabling { config, types: &types, served: &served, problems: &mut problems, again: false }.table(declared);
    for (at, route) in config.routes.iter().enumerate() {
        let is_for = |one: &Rule<Binding>| {
            let method = one.value.method.name().replace('/', ".");
            route.is_for(&method, &format!("{} {}", one.http_method, one.template.text))
        };
        if !table.rules().iter().any(is_for) {
            let finding =
                Finding::new(Code::UnknownRoute, &format!("edge.routes[{at}]"), 0, route.name(), "is no route");
            problems.add(None, finding.help("name one as its rule has it, or a method by its full name"));
        }
    }
    let keep = config.keep.map(Keep::from).or(rules.keep).unwrap_or_default();
    let methods = served.0.into_values().map(|rpc| (rpc.descriptor.path.to_string(), rpc.method)).collect();
    let errors = Arc::new(Writer { details: Details::new(&types, &config.json), style: config.errors });
    let [left_out, unmatched] = [&mut problems.left_out, &mut problems.unmatched].map(std::mem::take);
    (Loaded { table, methods, errors, left_out, unmatched, keep }, problems)
}

/// Reads service configurations.
pub(crate) fn rules(files: &[PathBuf]) -> Result<rule::Config, LoadError> {
    let mut config = rule::Config::default();
    let mut problems = Vec::new();
    for file in files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => problems.extend(config.read(&name, &text).err().map(|error| error.to_string())),
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(LoadError(problems)) }
}

/// A backend and what its descriptors say.
struct Source<'b> {
    backend: &'b Backend,
    retries: Arc<Budget>,
    schema: Arc<Schema>,
    policies: Policies,
}

impl<'b> Source<'b> {
    fn read(backend: &'b Backend, retries: &Budgets, problems: &mut Problems) -> Option<Self> {
        let mut unreadable = |error: &dyn std::fmt::Display| {
            let message = format!("its descriptors cannot be read: {error}");
            problems.fatal(Finding::new(Code::BadDescriptors, &backend.name, 0, "", message));
        };
        let schema = Schema::new(&[&backend.descriptors]).map_err(|error| unreadable(&error)).ok()?;
        let policies = Policies::read(&backend.descriptors).map_err(|error| unreadable(&error)).ok()?;
        let retries = retries[&backend.name].clone();
        Some(Self { backend, retries, schema: Arc::new(schema), policies })
    }
}

/// One RPC, and whence it comes.
struct Rpc<'s> {
    source: &'s Source<'s>,
    descriptor: &'s Descriptor,
    policy: MethodPolicy,
    method: Arc<Method>,
}

/// All RPCs that can be reached, by their full names.
#[derive(Default)]
struct Served<'s>(BTreeMap<&'s str, Rpc<'s>>);

impl<'s> Served<'s> {
    fn add(&mut self, config: &Config, types: &Types, source: &'s Source<'s>, problems: &mut Problems) {
        let backend = source.backend;
        for name in backend.services.iter().filter(|name| !OWN_SERVICES.contains(&name.as_str())) {
            let Some(service) = source.schema.find_service(name) else {
                problems.fatal(Finding::new(Code::UnknownService, &backend.name, 0, name, "is not in its descriptors"));
                continue;
            };
            let mut others = service.methods.iter().filter_map(|method| self.0.get(&*method.full_name));
            if let Some(other) = others.next() {
                let message = format!("served by {} and by {}", other.source.backend.name, backend.name);
                let at = &service.source;
                let finding = Finding::new(Code::ServedTwice, &at.file, at.line, name, message);
                problems.add(Some(backend), finding.help("leave one out"));
                continue;
            }
            for descriptor in &service.methods {
                let mut policy = source.policies.get(&descriptor.path).cloned().unwrap_or_default();
                policy.deferrable &= types.get(OPERATION).is_some();
                // Not reachable through the edge: as if it did not exist.
                if policy.access == Access::Service || (policy.access == Access::Unspecified && !backend.foreign) {
                    continue;
                }
                match method(config, source, descriptor, &policy) {
                    Some(method) => {
                        let rpc = Rpc { source, descriptor, policy, method: Arc::new(method) };
                        self.0.insert(&descriptor.full_name, rpc);
                    }
                    None => problems.add(Some(backend), of(descriptor, Code::BadName, "cannot be part of a URI")),
                }
            }
        }
    }

    /// The bindings of all of them, as their rules and policies have it.
    fn declare(&'s self, config: &Config, rules: &rule::Config, problems: &mut Problems) -> Vec<rule::Declared<'s>> {
        let all = self.rules(rules, problems);
        let methods: Vec<_> = self.0.values().map(|rpc| (&*rpc.source.schema, rpc.descriptor)).collect();
        let (mut declared, findings) = rule::declare(&methods, &all, config.auto_mapping);
        for finding in findings {
            let rpc = self.0.get(finding.method.as_str()).filter(|_| finding.code != Code::UnknownSelector);
            problems.add(rpc.map(|rpc| rpc.source.backend), finding);
        }
        self.require(&mut declared, problems);
        declared.retain(|one| {
            let own = pages::is_own(&one.binding.path);
            if own {
                let finding = one.finding(Code::OwnPath, "the edge answers this path itself").help("choose another");
                problems.add(Some(self.0[&*one.method.full_name].source.backend), finding);
            }
            !own
        });
        declared
    }

    /// The rules that take the place of annotations: those that contracts have for methods of foreign protos, and after
    /// them those of the edge.
    fn rules(&self, rules: &rule::Config, problems: &mut Problems) -> rule::Config {
        let mut config = rule::Config::default();
        for rpc in self.0.values() {
            let Some(declared) = &rpc.policy.http else { continue };
            match HttpRule::decode(declared.clone()) {
                Ok(rule) => {
                    let (selector, file) = (rpc.descriptor.full_name.to_string(), rpc.descriptor.source.file.clone());
                    config.rules.push(ConfigRule { selector, rule, file, line: 0 });
                }
                Err(error) => {
                    let finding = of(rpc.descriptor, Code::BadRule, format!("the rule of its policy is none: {error}"));
                    problems.add(Some(rpc.source.backend), finding);
                }
            }
        }
        config.rules.extend(rules.rules.iter().cloned());
        config
    }

    /// Puts the query parameters that policies require to the bindings they mean.
    fn require(&self, declared: &mut [rule::Declared<'s>], problems: &mut Problems) {
        for rpc in self.0.values() {
            let name = &rpc.descriptor.full_name;
            let is_of = |one: &rule::Declared<'_>, pattern: &str| {
                one.method.full_name == *name && one.binding.to_string() == pattern
            };
            for policy in &rpc.policy.bindings {
                match declared.iter_mut().find(|one| is_of(one, &policy.pattern)) {
                    Some(one) => one.required_query.clone_from(&policy.required_query),
                    None => {
                        let message = format!("the policy's binding \"{}\" is none of its HTTP rules", policy.pattern);
                        let finding = of(rpc.descriptor, Code::UnknownBinding, message);
                        problems.add(Some(rpc.source.backend), finding.help("write it as the rule has it"));
                    }
                }
            }
        }
    }
}

fn method(config: &Config, source: &Source<'_>, descriptor: &Descriptor, policy: &MethodPolicy) -> Option<Method> {
    let (backend, is_stream) = (source.backend, descriptor.client_streaming || descriptor.server_streaming);
    Some(Method {
        path: PathAndQuery::try_from(&*descriptor.path).ok()?,
        backend: backend.name.clone(),
        link: backend.link.clone(),
        access: if backend.foreign { Access::Anyone } else { policy.access },
        deadline: policy.deadline.unwrap_or(config.deadline(is_stream)),
        keys: policy.keys,
        client_streaming: descriptor.client_streaming,
        server_streaming: descriptor.server_streaming,
        idempotent: descriptor.idempotency != Idempotency::Unknown,
        retries: source.retries.clone(),
        deferrable: policy.deferrable,
        response_type: source.schema[descriptor.output].name.to_string(),
    })
}

/// A finding about a method.
fn of(method: &Descriptor, code: Code, message: impl Into<String>) -> Finding {
    Finding::new(code, &method.source.file, method.source.line, &method.full_name, message)
}

/// The making of the table.
struct Tabling<'t, 's> {
    config: &'t Config,
    types: &'t Types,
    served: &'t Served<'s>,
    problems: &'t mut Problems,
    /// Whether it is made of what is left; that has the same warnings.
    again: bool,
}

impl Tabling<'_, '_> {
    /// Checks the bindings, and makes the table of those that have no problem.
    fn table(&mut self, mut declared: Vec<rule::Declared<'_>>) -> Table<Binding> {
        let (table, findings) = check::check(declared.clone(), self.config.duplicates.into());
        let mut refused = HashSet::new();
        for finding in findings {
            match (finding.severity, finding.code) {
                (Severity::Error, _) => drop(refused.insert((finding.method.clone(), finding.binding.clone()))),
                (_, Code::Clash) => tracing::warn!("{finding}"),
                _ => tracing::debug!("{finding}"),
            }
            if !self.again {
                self.problems.add(Some(self.served.0[finding.method.as_str()].source.backend), finding);
            }
        }
        let mut bindings = Vec::new();
        for rule in table.rules() {
            let route = &rule.value;
            let (rpc, binding) = (&self.served.0[&*route.method().full_name], route.declared.binding.to_string());
            match self.binding(route, rpc, &binding) {
                Ok(binding) => bindings.push(binding),
                Err(problems) => {
                    for problem in problems {
                        let finding = route.declared.finding(Code::Misfit, problem);
                        let finding = finding.help("change the rule, or the policy that goes with it");
                        self.problems.add(Some(rpc.source.backend), finding);
                    }
                    refused.insert((rpc.descriptor.full_name.to_string(), binding));
                }
            }
        }
        if refused.is_empty() {
            let mut bindings = bindings.into_iter();
            return table.map(|_| bindings.next().expect("one for each rule"));
        }
        declared.retain(|one| !refused.contains(&(one.method.full_name.to_string(), one.binding.to_string())));
        self.again = true;
        self.table(declared)
    }

    fn binding(&self, route: &Route<'_>, rpc: &Rpc<'_>, pattern: &str) -> Result<Binding, Vec<String>> {
        let declared = rpc.policy.bindings.iter().find(|declared| declared.pattern == pattern);
        let BindingPolicy { lenient, aliases, success_status, .. } = declared.cloned().unwrap_or_default();
        let ignored_query = self.config.ignored_query.clone();
        let own = self.config.options(&route.method().full_name, pattern);
        let request = RequestOptions {
            lenient,
            aliases: aliases.clone(),
            ignored_query,
            ignore_unknown_fields: own.unknown_fields == Unknown::Ignore,
            ignore_unknown_parameters: own.unknown_query == Unknown::Ignore,
            json_parameters: own.json_parameters,
            refuse_control_characters: own.control_characters == ControlCharacters::Refuse,
        };
        let schema = &rpc.source.schema;
        let mut response = bind::ResponsePlan::new(schema.clone(), route, self.types.options(&own.json));
        if !rpc.policy.event_id_field.is_empty() {
            let path = &rpc.policy.event_id_field;
            response =
                response.with_event_id(path).map_err(|problem| vec![format!("event_id_field {path} {problem}")])?;
        }
        let success = StatusCode::from_u16(success_status.unwrap_or(rpc.policy.success_status));
        let operation = self.types.get(OPERATION).filter(|_| rpc.policy.deferrable);
        let rule = &route.declared.binding;
        Ok(Binding {
            method: rpc.method.clone(),
            request: Arc::new(RequestPlan::compile(schema.clone(), route, request)?),
            response: response.into(),
            success: success.map_err(|error| vec![error.to_string()])?,
            schema: schema.clone(),
            errors: Arc::new(Writer { details: Details::new(self.types, &own.json), style: own.errors }),
            operation: operation.map(|(schema, id)| JsonPlan::whole(schema, id, &own.json, self.types)),
            resume: resume(rpc, route).map_err(|problem| vec![problem])?,
            declared: Declared {
                body: rule.body.clone(),
                response_body: rule.response_body.clone(),
                lenient,
                aliases,
                options: own,
            },
        })
    }
}

/// The number of the field that takes the id of the last event.
fn resume(rpc: &Rpc<'_>, route: &Route<'_>) -> Result<Option<u32>, String> {
    let name = &rpc.policy.resume_field;
    if name.is_empty() {
        return Ok(None);
    }
    let message = &rpc.source.schema[rpc.descriptor.input];
    if route.variables.iter().any(|path| *message.fields[path[0]].name == **name) {
        return Err(format!("resume_field {name} is given by the path"));
    }
    let field = message.field(name);
    let field = field.filter(|field| field.kind == Kind::String && !field.is_repeated());
    field.map(|field| Some(field.number)).ok_or_else(|| format!("resume_field {name} is no string of the request"))
}
