//! What an edge would make of its backends, for whoever asks before it serves anybody.

use malla_transcode::check::{Code, Finding};
use malla_transcode::explain::{Explanation, Outcome, explain};
use malla_transcode::table::Rule;

use crate::call::retry::budgets;
use crate::config::Config;
use crate::load::{self, Backend, Binding, LoadError, Loaded};
use crate::pages;

#[cfg(test)]
mod tests;

/// The table of an edge, and everything that is wrong with it: [`Builder::check`](crate::Builder::check).
#[derive(Debug)]
pub struct Report {
    config: Config,
    loaded: Loaded,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(config: Config, backends: &[Backend]) -> Result<Self, LoadError> {
        let rules = load::rules(&config.rules)?;
        let (loaded, problems) = load::inspect(&config, &rules, &budgets(backends), backends);
        let mut findings = problems.findings;
        if backends.iter().any(|backend| backend.services.is_empty()) {
            // They may be for what is not known yet.
            findings.retain(|finding| !matches!(finding.code, Code::UnknownSelector | Code::UnknownRoute));
        }
        findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Ok(Self { config, loaded, findings })
    }

    /// How many bindings it would serve.
    #[must_use]
    pub fn bindings(&self) -> usize {
        self.loaded.table.rules().len()
    }

    /// All that is wrong, by file and line.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Where it would send a request without a body, what its fields would be bound to, and why it goes nowhere else.
    /// `target` is a path, with a query if there is one.
    #[must_use]
    pub fn explain(&self, method: &str, target: &str) -> Explanation {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        if pages::is_own(path) {
            let outcome = match method {
                "GET" | "HEAD" => Outcome::Own,
                _ => Outcome::of_methods(method, pages::METHODS.split(", ")),
            };
            let (method, path) = (method.to_owned(), path.to_owned());
            return Explanation { method, path, outcome, losers: Vec::new(), left_out: 0 };
        }
        let Loaded { table, keep, .. } = &self.loaded;
        let name = |rule: &Rule<Binding>| rule.value.method.name().replace('/', ".");
        explain(table, method, target, self.config.trailing_slash, *keep, name, |rule, variables, query| {
            rule.value.request.explain(variables, query)
        })
    }
}
