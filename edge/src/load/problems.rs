//! What is wrong with a set of backends, and whom it keeps from being served.

use malla_transcode::check::{Finding, Severity};

use super::Backend;

/// Everything that keeps a set of backends from being served, each naming the method and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(.0))]
pub struct LoadError(pub Vec<String>);

fn told(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        _ => format!("{} problems in the routes:\n  {}", problems.len(), problems.join("\n  ")),
    }
}

/// What is wrong. Errors of the mesh's own backends are fatal, routes of foreign ones are left out; those of settings for
/// what is not there are whose it may yet be.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    /// All of it.
    pub(crate) findings: Vec<Finding>,
    pub(super) fatal: Vec<String>,
    pub(super) left_out: Vec<String>,
    pub(super) unmatched: Vec<String>,
}

impl Problems {
    /// Something about a backend or, about none, about settings.
    pub(super) fn add(&mut self, backend: Option<&Backend>, finding: Finding) {
        if finding.severity == Severity::Error {
            let list = match backend {
                None => &mut self.unmatched,
                Some(Backend { foreign: true, .. }) => &mut self.left_out,
                Some(_) => &mut self.fatal,
            };
            list.push(finding.to_string());
        }
        self.findings.push(finding);
    }

    /// What keeps a backend from being served at all.
    pub(super) fn fatal(&mut self, finding: Finding) {
        self.fatal.push(finding.to_string());
        self.findings.push(finding);
    }
}
