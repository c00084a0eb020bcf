//! `malla check` and `malla routes explain`: the bindings of the mesh, or of any descriptors, held against everything
//! that can be wrong with them, as the edge would take them by the same settings. Nothing is started and nothing is called.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use malla_edge::{BuildError, LoadError, OWN_SERVICES};
use malla_runtime::config::{Error, Settings};
use malla_runtime::policy::{Access, Policies};
use malla_transcode::Schema;
use malla_transcode::check::{self, Finding, Route, Severity};
use malla_transcode::explain::explain as explained;
use malla_transcode::percent::Keep;
use malla_transcode::rule::{self, Config, ConfigRule};
use malla_transcode::schema::{HttpRule, Method, Service};
use malla_transcode::table::{Rule, Table};
use prost::Message as _;
use serde::Serialize;
use tonic::service::Routes;

use crate::cli::Options;
use crate::modules::MODULES;
use crate::output::print;
use crate::process::{DEFAULTS, EDGE, sections};
use crate::upstream::{Server, upstreams};

/// Where bindings come from.
#[derive(Args, Debug)]
pub(crate) struct Sources {
    /// A file of descriptors, all imports included, of buf or protoc; several make one table [default: those of the
    /// settings' [upstreams], else the mesh's own]
    #[arg(long, value_name = "FILE")]
    descriptors: Vec<PathBuf>,
    /// A service configuration, in YAML or JSON, whose http.rules take the place of annotations
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Methods without a rule are POST /package.Service/Method
    #[arg(long)]
    auto_mapping: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What an edge would serve, read.
pub(crate) struct Bindings {
    edge: malla_edge::Config,
    backends: Vec<Backend>,
    config: Config,
    /// Upstreams of which nothing is known before they run.
    unknown: Vec<String>,
    json: bool,
}

/// The descriptors of one backend.
struct Backend {
    name: String,
    descriptors: Bytes,
    schema: Schema,
    policies: Policies,
    /// The services that it serves; none for all there are.
    services: Vec<String>,
}

#[derive(Serialize)]
struct Report<'r> {
    bindings: usize,
    errors: usize,
    findings: &'r [Finding],
    /// What an edge finds wrong besides, when it makes its table.
    problems: &'r [String],
    /// Upstreams that are not in it, for they say by reflection what they serve.
    unknown: &'r [String],
}

/// Prints everything that is wrong with a table.
///
/// # Errors
/// Something is.
pub(crate) fn check(bindings: &Bindings) -> anyhow::Result<()> {
    let (table, findings) = bindings.table();
    let problems = bindings.problems(&findings);
    let warnings = findings.iter().filter(|finding| finding.severity != Severity::Error).count();
    let errors = findings.len() - warnings + problems.len();
    let (count, unknown) = (table.rules().len(), &bindings.unknown);
    if bindings.json {
        let report = Report { bindings: count, errors, findings: &findings, problems: &problems, unknown };
        print(&format!("{:#}\n", serde_json::to_value(report)?))?;
    } else {
        let mut lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        lines.extend(problems.iter().map(|problem| format!("{problem}\n")));
        lines.extend(unknown.iter().map(|name| format!("{name}: not checked, its descriptors come by reflection\n")));
        print(&format!("{lines}{count} bindings, {errors} errors, {warnings} warnings\n"))?;
    }
    if errors > 0 {
        bail!("{errors} errors in the bindings");
    }
    Ok(())
}

/// Prints where a request goes, and why not elsewhere.
pub(crate) fn explain(bindings: &Bindings, method: &str, target: &str) -> anyhow::Result<()> {
    let (table, _) = bindings.table();
    let keep = bindings.edge.keep.map(Keep::from).or(bindings.config.keep).unwrap_or_default();
    let name = |rule: &Rule<Route<'_>>| rule.value.method().full_name.to_string();
    let explanation = explained(&table, method, target, bindings.edge.trailing_slash, keep, name);
    if bindings.json {
        print(&format!("{:#}\n", serde_json::to_value(&explanation)?))
    } else {
        print(&explanation.to_string())
    }
}

impl Sources {
    /// Reads all of it. Where there are files of descriptors or upstreams, the settings count as for `malla edge`, else as
    /// for the mesh.
    ///
    /// # Errors
    /// Settings cannot be used; files cannot be read.
    pub(crate) fn read(self, options: &Options) -> anyhow::Result<Bindings> {
        let load = |defaults| Settings::load(defaults, options.config.as_deref(), &[]);
        let settings = load("")?;
        settings.refuse_unknown(&sections().chain(["upstreams"]).collect::<Vec<_>>())?;
        let servers = upstreams(&settings)?;
        let (mut backends, mut unknown) = (Vec::new(), Vec::new());
        let mut edge: malla_edge::Config = settings.section(EDGE)?;
        if !self.descriptors.is_empty() {
            for file in &self.descriptors {
                backends.push(Backend::new(&file.display().to_string(), &read(file)?, Vec::new())?);
            }
        } else if !servers.is_empty() {
            for (name, Server { descriptors, services, .. }) in servers {
                // Sets behind one another are one.
                let set = descriptors.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.concat();
                if descriptors.is_empty() {
                    unknown.push(name)
                } else {
                    backends.push(Backend::new(&name, &set, services)?)
                }
            }
        } else {
            edge = load(DEFAULTS)?.section(EDGE)?;
            for entry in MODULES {
                let services = entry.services.iter().map(|&name| name.to_owned()).collect();
                backends.push(Backend::new(entry.name, entry.descriptors, services)?);
            }
        }
        if backends.is_empty() {
            let expected =
                "all of them say by reflection what they serve, and nothing is called here; name --descriptors";
            return Err(Error::invalid("upstreams", unknown.join(", "), expected).into());
        }
        edge.rules.extend(self.rules);
        edge.auto_mapping |= self.auto_mapping;
        edge.check()?;
        let config = config(&backends, &edge.rules)?;
        Ok(Bindings { edge, backends, config, unknown, json: self.json })
    }
}

fn read(file: &PathBuf) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// The rules of the files, after those that contracts declare for methods of foreign protos.
fn config(backends: &[Backend], files: &[PathBuf]) -> anyhow::Result<Config> {
    let mut config = Config::default();
    for backend in backends {
        for method in backend.methods() {
            let declared = backend.policies.get(&method.path).and_then(|policy| policy.http.as_ref());
            if let Some(declared) = declared {
                let rule = HttpRule::decode(declared.clone())?;
                let (selector, file) = (method.full_name.to_string(), method.source.file.clone());
                config.rules.push(ConfigRule { selector, rule, file, line: 0 });
            }
        }
    }
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        config.read(&file.display().to_string(), &text)?;
    }
    Ok(config)
}

impl Backend {
    fn new(name: &str, descriptors: &[u8], services: Vec<String>) -> anyhow::Result<Self> {
        let unreadable = || format!("the descriptors of {name} cannot be read");
        let schema = Schema::new(&[descriptors]).with_context(unreadable)?;
        if let Some(missing) = services.iter().find(|service| schema.find_service(service).is_none()) {
            bail!("{name}: {missing} is not in its descriptors");
        }
        let policies = Policies::read(descriptors).with_context(unreadable)?;
        Ok(Self { name: name.to_owned(), descriptors: descriptors.to_vec().into(), schema, policies, services })
    }

    /// The methods that clients can call.
    fn methods(&self) -> impl Iterator<Item = &Method> {
        let is_named = |name: &str| self.services.is_empty() || self.services.iter().any(|service| service == name);
        let is_served = move |name: &str| is_named(name) && !OWN_SERVICES.contains(&name);
        let services = self.schema.services().iter().filter(move |service| is_served(&service.name));
        services
            .flat_map(|service| &service.methods)
            .filter(|method| self.policies.get(&method.path).is_none_or(|policy| policy.access != Access::Service))
    }
}

impl Bindings {
    fn table<'b>(&'b self) -> (Table<Route<'b>>, Vec<Finding>) {
        let methods = |backend: &'b Backend| backend.methods().map(move |method| (&backend.schema, method));
        let methods: Vec<_> = self.backends.iter().flat_map(methods).collect();
        let (mut declared, mut findings) = rule::declare(&methods, &self.config, self.edge.auto_mapping);
        for declared in &mut declared {
            let policies = self.backends.iter().filter_map(|backend| backend.policies.get(&declared.method.path));
            let pattern = declared.binding.to_string();
            let bindings = policies.flat_map(|policy| &policy.bindings);
            if let Some(binding) = bindings.into_iter().find(|binding| binding.pattern == pattern) {
                declared.required_query.clone_from(&binding.required_query);
            }
        }
        let (table, more) = check::check(declared, self.edge.duplicates.into());
        findings.extend(more);
        (table, findings)
    }

    /// What an edge that is made of all this finds wrong, but for the findings.
    fn problems(&self, findings: &[Finding]) -> Vec<String> {
        let told: HashSet<String> = findings.iter().map(ToString::to_string).collect();
        let known = self.backends.iter().map(|backend| {
            let named = |service: &Service| {
                backend.services.is_empty() || backend.services.iter().any(|one| *one == *service.name)
            };
            let services = backend.schema.services().iter().filter(|service| named(service));
            let services = services.map(|service| service.name.to_string());
            malla_edge::Backend::local(&backend.name, services, backend.descriptors.clone(), Routes::default())
        });
        let unknown = self.unknown.iter().map(|name| malla_edge::Backend {
            foreign: true,
            ..malla_edge::Backend::local(name, [""; 0], Bytes::new(), Routes::default())
        });
        let builder = malla_edge::Edge::builder().config(self.edge.clone());
        match known.chain(unknown).fold(builder, malla_edge::Builder::backend).build() {
            Ok(_) => Vec::new(),
            Err(BuildError::Load(LoadError(problems))) => {
                problems.into_iter().filter(|problem| !told.contains(problem)).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }
}
