//! `malla check` and `malla routes explain`: the bindings of the mesh, or of any descriptors, held against everything
//! that can be wrong with them. Nothing is started and nothing is called.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use malla_runtime::policy::{Access, Policies};
use malla_transcode::Schema;
use malla_transcode::check::{self, Clashes, Finding, Route, Severity};
use malla_transcode::explain::explain;
use malla_transcode::rule::{self, Config, ConfigRule};
use malla_transcode::schema::{HttpRule, Method};
use malla_transcode::table::Table;
use prost::Message as _;
use serde::Serialize;

use crate::modules::MODULES;
use crate::output::print;

/// Where bindings come from.
#[derive(Args, Debug)]
pub(crate) struct Sources {
    /// A file of descriptors, all imports included, of buf or protoc; several make one table [default: the mesh's own]
    #[arg(long, value_name = "FILE")]
    descriptors: Vec<PathBuf>,
    /// A service configuration, in YAML or JSON, whose http.rules come before annotations
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The descriptors of one backend.
struct Backend {
    schema: Schema,
    policies: Policies,
    /// The services that it serves; None for all there are.
    services: Option<&'static [&'static str]>,
}

#[derive(Serialize)]
struct Report<'r> {
    bindings: usize,
    errors: usize,
    findings: &'r [Finding],
}

/// Prints everything that is wrong with a table.
///
/// # Errors
/// Something is; files cannot be read.
pub(crate) fn check(sources: &Sources) -> anyhow::Result<()> {
    let backends = sources.backends()?;
    let config = sources.config(&backends)?;
    let (table, findings) = table(&backends, &config);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let bindings = table.rules().len();
    if sources.json {
        print(&format!("{:#}\n", serde_json::to_value(Report { bindings, errors, findings: &findings })?))?;
    } else {
        let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        print(&format!("{lines}{bindings} bindings, {errors} errors, {} warnings\n", findings.len() - errors))?;
    }
    if errors > 0 {
        bail!("{errors} errors in the bindings");
    }
    Ok(())
}

/// Prints where a request goes, and why not elsewhere.
///
/// # Errors
/// Files cannot be read.
pub(crate) fn routes(sources: &Sources, method: &str, target: &str, ignore_trailing: bool) -> anyhow::Result<()> {
    let backends = sources.backends()?;
    let config = sources.config(&backends)?;
    let (table, _) = table(&backends, &config);
    let name = |rule: &malla_transcode::table::Rule<Route<'_>>| rule.value.method().full_name.to_string();
    let explanation = explain(&table, method, target, ignore_trailing, config.keep.unwrap_or_default(), name);
    if sources.json {
        print(&format!("{:#}\n", serde_json::to_value(&explanation)?))
    } else {
        print(&explanation.to_string())
    }
}

impl Sources {
    fn backends(&self) -> anyhow::Result<Vec<Backend>> {
        let backend = |name: &str, descriptors: &[u8], services| {
            let unreadable = || format!("the descriptors of {name} cannot be read");
            let schema = Schema::new(&[descriptors]).with_context(unreadable)?;
            Ok(Backend { schema, policies: Policies::read(descriptors).with_context(unreadable)?, services })
        };
        if self.descriptors.is_empty() {
            return MODULES.iter().map(|entry| backend(entry.name, entry.descriptors, Some(entry.services))).collect();
        }
        let read = |file: &PathBuf| {
            let descriptors = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
            backend(&file.display().to_string(), &descriptors, None)
        };
        self.descriptors.iter().map(read).collect()
    }

    /// The rules of the files, after those that contracts declare for methods of foreign protos.
    fn config(&self, backends: &[Backend]) -> anyhow::Result<Config> {
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
        for file in &self.rules {
            let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            config.read(&file.display().to_string(), &text)?;
        }
        Ok(config)
    }
}

impl Backend {
    /// The methods that clients can call.
    fn methods(&self) -> impl Iterator<Item = &Method> {
        let served = |name: &str| self.services.is_none_or(|services| services.contains(&name));
        let services = self.schema.services().iter().filter(move |service| served(&service.name));
        services
            .flat_map(|service| &service.methods)
            .filter(|method| self.policies.get(&method.path).is_none_or(|policy| policy.access != Access::Service))
    }
}

fn table<'b>(backends: &'b [Backend], config: &Config) -> (Table<Route<'b>>, Vec<Finding>) {
    let own = |backend: &'b Backend| backend.methods().map(move |method| (&backend.schema, method));
    let methods: Vec<_> = backends.iter().flat_map(own).collect();
    let (mut declared, mut findings) = rule::declare(&methods, config, false);
    for declared in &mut declared {
        let policies = backends.iter().filter_map(|backend| backend.policies.get(&declared.method.path));
        let pattern = declared.binding.to_string();
        let bindings = policies.flat_map(|policy| &policy.bindings);
        if let Some(binding) = bindings.into_iter().find(|binding| binding.pattern == pattern) {
            declared.required_query.clone_from(&binding.required_query);
        }
    }
    let (table, more) = check::check(declared, Clashes::Refuse);
    findings.extend(more);
    (table, findings)
}
