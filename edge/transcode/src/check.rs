//! What is wrong with a set of bindings: all of it, at once, each with its place and what to do. What comes out right
//! is a routing table whose bindings are resolved to fields.

use std::collections::HashSet;

use crate::rule::Declared;
use crate::schema::{Method, Schema};
use crate::table::{Clash, Prefer, Rule, Table};
use crate::template::Template;

mod fields;
mod finding;
mod names;
mod reach;
#[cfg(test)]
mod tests;

pub use finding::{Code, Finding, Severity};

/// What becomes of two bindings that no request can tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clashes {
    /// An error.
    #[default]
    Refuse,
    /// A warning; the one that was declared first stays.
    First,
    /// A warning; the one that was declared last stays.
    Last,
}

/// A binding, resolved.
#[derive(Clone, Debug)]
pub struct Route<'s> {
    /// What was declared, and where.
    pub declared: Declared<'s>,
    /// For each variable of the template the fields to its value: positions in `Message::fields`, from the method's
    /// input on.
    pub variables: Vec<Vec<usize>>,
    /// What the request's body is.
    pub body: Body,
    /// The field of the method's output that the response's body is, by its position; None: the whole message.
    pub response_body: Option<usize>,
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// The whole message.
    Whole,
    /// This field of it, by its position.
    Field(usize),
}

impl<'s> Route<'s> {
    /// The RPC.
    #[must_use]
    pub fn method(&self) -> &'s Method {
        self.declared.method
    }

    /// What its messages are declared in.
    #[must_use]
    pub fn schema(&self) -> &'s Schema {
        self.declared.schema
    }
}

/// Checks bindings, of one backend or of all, and builds their table. Bindings with an error of their own are not in
/// it. Findings come in the order of the bindings, clashes and what cannot be reached last.
#[must_use]
pub fn check<'s>(declared: Vec<Declared<'s>>, clashes: Clashes) -> (Table<Route<'s>>, Vec<Finding>) {
    let (mut rules, mut findings) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for declared in declared {
        names::clashing(&declared, &mut seen, &mut findings);
        rules.extend(resolve(declared, &mut findings));
    }
    let prefer = if clashes == Clashes::Last { Prefer::Last } else { Prefer::First };
    let (table, clashing) = Table::build(rules, prefer);
    findings.extend(clashing.iter().map(|clash| tell(&table, *clash, clashes)));
    findings.extend(reach::unreachable(&table, &clashing));
    (table, findings)
}

/// None if there is an error in it; all of them are told.
fn resolve<'s>(declared: Declared<'s>, findings: &mut Vec<Finding>) -> Option<Rule<Route<'s>>> {
    let before = findings.len();
    let method = &declared.binding.http_method;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if method.is_empty() || !method.bytes().all(is_token) {
        findings.push(declared.finding(Code::BadMethod, format!("\"{method}\" is no HTTP method")));
    }
    let template = match Template::parse(&declared.binding.path) {
        Ok(template) => Some(template),
        Err(error) => {
            findings.push(declared.finding(Code::BadTemplate, error.to_string()));
            None
        }
    };
    let variables = template.iter().flat_map(|template| &template.variables);
    let variables = variables.map(|variable| fields::variable(&declared, variable, findings)).collect();
    let body = fields::body(&declared, findings);
    let response_body = fields::response_body(&declared, findings);
    if let Some(template) = &template {
        fields::unbound(&declared, template, body, findings);
    }
    if findings[before..].iter().any(|finding| finding.severity == Severity::Error) {
        return None;
    }
    Some(Rule {
        http_method: method.clone(),
        template: template?,
        required_query: declared.required_query.clone(),
        value: Route { declared, variables, body, response_body },
    })
}

fn tell(table: &Table<Route<'_>>, clash: Clash, clashes: Clashes) -> Finding {
    let [kept, dropped] = [clash.kept, clash.dropped].map(|at| &table.rules()[at].value.declared);
    let other = format!("\"{}\" of {} ({})", kept.binding, kept.method.full_name, place(&kept.file, kept.line));
    let (about, message) = match clashes {
        Clashes::Refuse => (dropped, format!("is the same route as {other}")),
        Clashes::First | Clashes::Last => (dropped, format!("gives way to the same route {other}")),
    };
    let finding = about.finding(Code::Clash, message).help("change one of the paths, or allow one to win");
    Finding { severity: if clashes == Clashes::Refuse { Severity::Error } else { Severity::Warning }, ..finding }
}

/// `file:line`, or the file where the line is not known.
fn place(file: &str, line: u32) -> String {
    if line == 0 { file.to_owned() } else { format!("{file}:{line}") }
}
