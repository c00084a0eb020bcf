//! `malla check` and `malla routes explain`: the bindings of the mesh, or of any descriptors, held against everything
//! that can be wrong with them, as the edge would take them by the same settings. Nothing is started and nothing is called.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use malla_edge::{Backend, Link, Report, Upstream};
use malla_runtime::config::{Error, Settings};
use malla_transcode::check::{Finding, Severity};
use serde::Serialize;
use tonic::service::Routes;

use crate::cli::Options;
use crate::modules::MODULES;
use crate::output::print;
use crate::process::{DEFAULTS, EDGE, sections};
use crate::upstream::{Server, unusable, upstreams};

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

/// What an edge would serve.
pub(crate) struct Bindings {
    report: Report,
    /// Upstreams of which nothing is known before they run.
    unknown: Vec<String>,
    json: bool,
}

#[derive(Serialize)]
struct Written<'r> {
    bindings: usize,
    errors: usize,
    findings: &'r [Finding],
    /// Upstreams that are not in it, for they say by reflection what they serve.
    unknown: &'r [String],
}

/// Prints everything that is wrong with a table.
///
/// # Errors
/// Something is.
pub(crate) fn check(Bindings { report, unknown, json }: &Bindings) -> anyhow::Result<()> {
    let (bindings, findings) = (report.bindings(), report.findings());
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if *json {
        print(&format!("{:#}\n", serde_json::to_value(Written { bindings, errors, findings, unknown })?))?;
    } else {
        let mut lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        lines.extend(unknown.iter().map(|name| format!("{name}: not checked, its descriptors come by reflection\n")));
        print(&format!("{lines}{bindings} bindings, {errors} errors, {} warnings\n", findings.len() - errors))?;
    }
    if errors > 0 {
        bail!("{errors} errors in the bindings");
    }
    Ok(())
}

/// Prints where a request goes, what its fields are bound to, and why it goes nowhere else.
pub(crate) fn explain(bindings: &Bindings, method: &str, target: &str) -> anyhow::Result<()> {
    let explanation = bindings.report.explain(method, target);
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
    pub(crate) async fn read(self, options: &Options) -> anyhow::Result<Bindings> {
        let load = |defaults| Settings::load(defaults, options.config.as_deref(), &[]);
        let settings = load("")?;
        settings.refuse_unknown(&sections().chain(["upstreams"]).collect::<Vec<_>>())?;
        let mut edge: malla_edge::Config = settings.section(EDGE)?;
        let (mut backends, mut unknown) = (Vec::new(), Vec::new());
        let sources = self.upstreams(&settings)?;
        for (key, upstream) in &sources {
            if upstream.descriptors.is_empty() {
                unknown.push(upstream.name.clone());
                backends.push(upstream.unknown());
            } else {
                let declared = upstream.declared(edge.reflection.bytes_max).await;
                backends.push(declared.map_err(|error| unusable(key, error))?);
            }
        }
        if sources.is_empty() {
            edge = load(DEFAULTS)?.section(EDGE)?;
            backends.extend(MODULES.map(|entry| {
                Backend::local(entry.name, entry.services.iter().copied(), entry.descriptors, Routes::default())
            }));
        }
        if backends.len() == unknown.len() {
            let expected =
                "all of them say by reflection what they serve, and nothing is called here; name --descriptors";
            return Err(Error::invalid("upstreams", unknown.join(", "), expected).into());
        }
        edge.rules.extend(self.rules);
        edge.auto_mapping |= self.auto_mapping;
        edge.check()?;
        let builder = malla_edge::Edge::builder().config(edge);
        let report = backends.into_iter().fold(builder, malla_edge::Builder::backend).check()?;
        Ok(Bindings { report, unknown, json: self.json })
    }

    /// Each file of the command line, or else the upstreams of the settings; and which key names its descriptors.
    fn upstreams(&self, settings: &Settings) -> Result<Vec<(String, Upstream)>, Error> {
        let upstream = |name: String, services, descriptors| {
            let link = Link::alone(&name, Routes::default());
            Upstream { name, services, descriptors, link }
        };
        let of_settings = upstreams(settings)?;
        if !self.descriptors.is_empty() {
            let files = self.descriptors.iter();
            let one = |file: &PathBuf| upstream(file.display().to_string(), Vec::new(), vec![file.clone()]);
            return Ok(files.map(|file| ("--descriptors".to_owned(), one(file))).collect());
        }
        let named = |(name, Server { services, descriptors, .. }): (String, Server)| {
            (format!("upstreams.{name}.descriptors"), upstream(name, services, descriptors))
        };
        Ok(of_settings.into_iter().map(named).collect())
    }
}
