//! Why a request goes where it goes: the rule that won, what each field is bound to, and why each other candidate lost.
//! For people and tools; it looks at every rule, which the table's own search does not.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::Violation;
use crate::bind;
use crate::path::without_trailing_slashes;
use crate::percent::{self, DecodeError, Keep};
use crate::table::{Miss, Rule, Table};
use crate::template::{Segment, Template, Variable};

#[cfg(test)]
mod tests;

/// How many rules that lost are told; those that came closest.
pub const LOSERS_MAX: usize = 20;

/// What a table makes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The request's method.
    pub method: String,
    /// Its path as it was looked for.
    pub path: String,
    /// Where it goes.
    pub outcome: Outcome,
    /// The rules that lost, those first that came closest.
    pub losers: Vec<Loser>,
    /// How many more there are whose paths begin alike.
    pub left_out: usize,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// To a rule.
    Found {
        /// Its name.
        rule: String,
        /// What its path and query give.
        bindings: Vec<Bound>,
        /// What is wrong with them; then nothing is bound. 400.
        violations: Vec<Violation>,
    },
    /// Nowhere: whoever serves the table answers it itself.
    Own,
    /// Nowhere: the path has a malformed escape. 400.
    Malformed {
        /// In bytes, from 0.
        at: usize,
    },
    /// Nowhere: no rule has the path. 404.
    NoPath,
    /// Nowhere: the path has no rule for the method. 405.
    NoMethod {
        /// The methods it has.
        allow: Vec<String>,
    },
    /// Nowhere: it asks which methods the path has. 204.
    Options {
        /// The methods it has.
        allow: Vec<String>,
    },
}

/// What a field of the request's message is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Its name.
    pub field: String,
    /// Its value, as JSON.
    pub value: Value,
}

/// A rule that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loser {
    /// Its name.
    pub rule: String,
    /// Why not.
    pub reason: String,
}

impl Outcome {
    /// That of a path which has no rule for the method, but these.
    #[must_use]
    pub fn of_methods(method: &str, allow: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let allow = allow.into_iter().map(Into::into).collect();
        if method == "OPTIONS" { Self::Options { allow } } else { Self::NoMethod { allow } }
    }
}

/// Explains what a table makes of a request. `target` is a path, with a query if there is one; `name` tells what to call
/// a rule, such as its RPC; `bind` what it makes of its variables' texts and the query ([`bind::RequestPlan::explain`]).
#[must_use]
pub fn explain<'u, T>(
    table: &Table<T>,
    method: &str,
    target: &'u str,
    ignore_trailing_slashes: bool,
    keep: Keep,
    name: impl Fn(&Rule<T>) -> String,
    bind: impl Fn(&Rule<T>, &[Cow<'_, str>], &str) -> Result<Vec<Bound>, Vec<Violation>>,
) -> Explanation {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = if ignore_trailing_slashes { without_trailing_slashes(path) } else { path };
    let has = |wanted: &str| bind::has(query, wanted);
    let name = |rule: &Rule<T>| {
        let Rule { http_method, template, required_query, .. } = rule;
        let query = if required_query.is_empty() { String::new() } else { format!("?{}", required_query.join("&")) };
        format!("\"{http_method} {template}{query}\" of {}", name(rule))
    };
    let (winner, outcome) = match table.find(method, path, has) {
        Ok(found) => {
            let text = |(variable, text): (&Variable, Result<Cow<'u, str>, DecodeError>)| {
                text.map_err(|error| vec![Violation::new(&variable.field_path, format!("the path {error}"))])
            };
            let texts: Result<Vec<_>, _> = found.variables(keep).map(text).collect();
            let (bindings, violations) = match texts.and_then(|texts| bind(found.rule, &texts, query)) {
                Ok(bindings) => (bindings, Vec::new()),
                Err(violations) => (Vec::new(), violations),
            };
            (Some(found.index), Outcome::Found { rule: name(found.rule), bindings, violations })
        }
        Err(Miss::Malformed { at }) => (None, Outcome::Malformed { at }),
        Err(Miss::Path) => (None, Outcome::NoPath),
        Err(Miss::Method { allow }) => (None, Outcome::of_methods(method, allow)),
    };
    let candidates = table.rules().iter().enumerate().filter(|(index, _)| Some(*index) != winner);
    let mut losers: Vec<_> = candidates
        .filter_map(|(_, rule)| {
            let (near, reason) = lost(rule, method, path, has, winner.map(|winner| &table.rules()[winner]))?;
            Some((Reverse(near), Loser { rule: name(rule), reason }))
        })
        .collect();
    losers.sort_by_key(|(near, _)| *near);
    let left_out = losers.len().saturating_sub(LOSERS_MAX);
    let losers = losers.into_iter().take(LOSERS_MAX).map(|(_, loser)| loser).collect();
    Explanation { method: method.to_owned(), path: path.to_owned(), outcome, losers, left_out }
}

/// How near a rule came, in segments, and why it lost; None if not even its first segment fits.
fn lost<T>(
    rule: &Rule<T>,
    method: &str,
    path: &str,
    has: impl Fn(&str) -> bool,
    winner: Option<&Rule<T>>,
) -> Option<(usize, String)> {
    let near = match fit(&rule.template, path) {
        Ok(segments) => segments,
        Err((0, _)) => return None,
        Err(misfit) => return Some(misfit),
    };
    let stands_in = method == "HEAD" && rule.http_method == "GET";
    if rule.http_method != method && rule.http_method != "*" && !stands_in {
        return Some((near + 1, format!("its method is {}", rule.http_method)));
    }
    if let Some(missing) = rule.required_query.iter().find(|name| !has(name)) {
        return Some((near + 1, format!("it requires the query parameter \"{missing}\"")));
    }
    let winner = winner?;
    Some((near + 2, format!("it matches too, but {}", precedence(winner, rule, method))))
}

/// Why the one comes before the other, both matching.
fn precedence<T>(winner: &Rule<T>, loser: &Rule<T>, method: &str) -> String {
    let (first, second) = (&winner.template, &loser.template);
    let differ = first.segments.iter().zip(&second.segments).position(|(first, second)| first != second);
    let is_same_length = first.segments.len() == second.segments.len();
    // After a `**` segments stand side by side only if as many follow.
    if let Some(at) = differ.filter(|at| is_same_length || first.multi_at().is_none_or(|multi| *at <= multi)) {
        let kind = |template: &Template| match &template.segments[at] {
            Segment::Literal(text) => format!("\"{text}\""),
            segment => segment.to_string(),
        };
        return format!("at segment {} {} comes before {}", at + 1, kind(first), kind(second));
    }
    if first.shape() == second.shape() {
        return if winner.http_method != loser.http_method {
            format!("{} comes before {} for {method}", winner.http_method, loser.http_method)
        } else if winner.required_query == loser.required_query {
            "it is the same route, and gave way".to_owned()
        } else {
            "the winner requires other query parameters, of which the most come first".to_owned()
        };
    }
    if first.segments == second.segments {
        return "a verb of its own comes before reading the colon as text".to_owned();
    }
    if first.segments.len() > second.segments.len() {
        return "the winner says more of the path's end".to_owned();
    }
    "the winner's path ends where this one has **".to_owned()
}

/// Whether a template matches a path: how many segments it says something of, or how many fit and what does not.
fn fit(template: &Template, path: &str) -> Result<usize, (usize, String)> {
    let Some(rest) = path.strip_prefix('/') else { return Err((0, String::new())) };
    let mut segments: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
    let Some(verb) = &template.verb else { return fit_segments(&template.segments, &segments) };
    if let Some(last) = segments.last_mut()
        && let Some((text, given)) = last.rsplit_once(':')
        && percent::normalise(given) == *verb
    {
        *last = text;
        return fit_segments(&template.segments, &segments);
    }
    let near = fit_segments(&template.segments, &segments)?;
    Err((near, format!("the path does not end in \":{verb}\"")))
}

fn fit_segments(wanted: &[Segment], given: &[&str]) -> Result<usize, (usize, String)> {
    let multi = wanted.iter().position(|segment| *segment == Segment::Multi);
    let tail = multi.map_or(0, |multi| wanted.len() - multi - 1);
    let head = multi.unwrap_or(wanted.len());
    for (at, (wanted, given)) in wanted[..head].iter().zip(given).enumerate() {
        fits(wanted, given, at)?;
    }
    if given.len() < head + tail {
        let more = if multi.is_some() { "at least " } else { "" };
        let message = format!("the path has {} segments, not {more}{}", given.len(), head + tail);
        return Err((head.min(given.len()), message));
    }
    if multi.is_none() && given.len() > head {
        return Err((head, format!("the path has {} segments, not {head}", given.len())));
    }
    let start = given.len() - tail;
    if let Some(at) =
        given[head..start].iter().position(|given| given.is_empty()).filter(|at| head + at + 1 < given.len())
    {
        return Err((head, format!("segment {} is empty", head + at + 1)));
    }
    for (at, (wanted, given)) in wanted[wanted.len() - tail..].iter().zip(&given[start..]).enumerate() {
        fits(wanted, given, start + at)?;
    }
    Ok(head + tail)
}

fn fits(wanted: &Segment, given: &str, at: usize) -> Result<(), (usize, String)> {
    match wanted {
        _ if given.is_empty() => Err((at, format!("segment {} is empty", at + 1))),
        Segment::Literal(text) if percent::normalise(given) != *text => {
            Err((at, format!("segment {} is \"{given}\", not \"{text}\"", at + 1)))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.path)?;
        match &self.outcome {
            Outcome::Found { rule, bindings, violations } => {
                writeln!(f, "  goes to {rule}")?;
                for Bound { field, value } in bindings {
                    writeln!(f, "    {field} = {value}")?;
                }
                for violation in violations {
                    writeln!(f, "    400: {violation}")?;
                }
            }
            Outcome::Own => writeln!(f, "  goes to no rule: the edge answers this path itself")?,
            Outcome::Malformed { at } => writeln!(f, "  400: there is a malformed '%' at byte {at}")?,
            Outcome::NoPath => writeln!(f, "  404: no rule has this path")?,
            Outcome::NoMethod { allow } => writeln!(f, "  405: this path has {} only", allow.join(", "))?,
            Outcome::Options { allow } => writeln!(f, "  204: this path has {}", allow.join(", "))?,
        }
        for Loser { rule, reason } in &self.losers {
            writeln!(f, "  not {rule}: {reason}")?;
        }
        if self.left_out == 0 { Ok(()) } else { writeln!(f, "  and {} more whose paths begin alike", self.left_out) }
    }
}
