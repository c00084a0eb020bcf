//! The routing table: a tree of segments, searched depth first with backtracking.
//!
//! Precedence, segment by segment and whatever the order of registration: a literal beats `*` beats `**`; a verb
//! registered on a route's own node beats reading it as text; a shorter `**` beats a longer one; an exact method beats
//! GET standing in for HEAD beats the method `*`; of rules that require query parameters the one that requires most.
//! A node that lacks the method does not end the search, it only adds to `Allow`.

use std::collections::{BTreeSet, HashMap};

use super::percent;
use super::template::{Segment, Template};

#[cfg(test)]
mod tests;

/// One HTTP binding of a method.
#[derive(Debug)]
pub(crate) struct Rule<T> {
    /// The HTTP method; `*` for any.
    pub(crate) http_method: String,
    pub(crate) template: Template,
    /// Query parameters that must be present, sorted.
    pub(crate) required_query: Vec<String>,
    /// Full name of the RPC, for messages.
    pub(crate) rpc: String,
    pub(crate) value: T,
}

/// All rules, ready to be searched.
#[derive(Debug)]
pub(crate) struct Table<T> {
    nodes: Vec<Node>,
    rules: Vec<Rule<T>>,
}

/// A rule that matched, and what its variables hold.
#[derive(Debug)]
pub(crate) struct Match<'t, T> {
    pub(crate) rule: &'t Rule<T>,
    /// The variables' text, still percent-encoded, in the template's order.
    pub(crate) variables: Vec<String>,
}

/// Why nothing matched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// No rule has the path.
    Path,
    /// The path has rules, for these methods.
    Method { allow: BTreeSet<String> },
}

/// Two rules no request could tell apart.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is the same route as \"{http_method} {template}\" of {rpc}")]
pub(crate) struct Conflict {
    http_method: String,
    template: String,
    rpc: String,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    single: Option<usize>,
    multi: Option<usize>,
    /// verb -> HTTP method -> rules, most required parameters first
    leaf: HashMap<Option<String>, HashMap<String, Vec<usize>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], rules: Vec::new() }
    }
}

impl<T> Table<T> {
    /// Adds a rule.
    ///
    /// # Errors
    /// Another rule has the same shape (variable names aside), verb, method and required parameters.
    pub(crate) fn insert(&mut self, mut rule: Rule<T>) -> Result<(), Conflict> {
        rule.required_query.sort_unstable();
        let mut at = 0;
        for segment in &rule.template.segments {
            at = self.child(at, segment);
        }
        let leaf = self.nodes[at].leaf.entry(rule.template.verb.clone()).or_default();
        let rivals = leaf.entry(rule.http_method.clone()).or_default();
        if let Some(other) = rivals.iter().map(|at| &self.rules[*at]).find(|o| o.required_query == rule.required_query)
        {
            return Err(Conflict {
                http_method: rule.http_method,
                template: other.template.text.clone(),
                rpc: other.rpc.clone(),
            });
        }
        rivals.push(self.rules.len());
        self.rules.push(rule);
        let rules = &self.rules;
        rivals.sort_by_key(|at| (usize::MAX - rules[*at].required_query.len(), rules[*at].required_query.clone()));
        Ok(())
    }

    /// All rules, in the order they came.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule<T>> {
        self.rules.iter()
    }

    /// Finds the rule of a request. `path` is raw: not decoded, without its query; `has` tells whether the query has
    /// a parameter.
    pub(crate) fn find(&self, method: &str, path: &str, has: impl Fn(&str) -> bool) -> Result<Match<'_, T>, Miss> {
        let segments: Vec<&str> = match path.strip_prefix('/') {
            Some("") => Vec::new(),
            Some(rest) => rest.split('/').collect(),
            None => return Err(Miss::Path),
        };
        let mut search = Search { table: self, method, segments: &segments, has: &has, allow: BTreeSet::new() };
        match search.walk(0, 0, None) {
            Some((rule, verb)) => {
                let variables = variables(&self.rules[rule].template, &segments, verb.map_or(0, |verb| verb.len() + 1));
                Ok(Match { rule: &self.rules[rule], variables })
            }
            None if search.allow.is_empty() => Err(Miss::Path),
            None => Err(Miss::Method { allow: search.allow }),
        }
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match segment {
            Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(new),
            Segment::Single => *node.single.get_or_insert(new),
            Segment::Multi => *node.multi.get_or_insert(new),
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }
}

/// The text of each variable. `**` took as many segments as the path has more than the rest of the template; `verb`
/// bytes at the end belong to the verb.
fn variables(template: &Template, segments: &[&str], verb: usize) -> Vec<String> {
    let multi = template.multi_at().unwrap_or(usize::MAX);
    let shift = |at: usize| if at > multi { at + segments.len() - template.segments.len() } else { at };
    let text = |start: usize, end: usize| {
        let mut text = segments[start..end].join("/");
        if end == segments.len() {
            text.truncate(text.len().saturating_sub(verb));
        }
        text
    };
    template.variables.iter().map(|variable| text(shift(variable.start), shift(variable.end))).collect()
}

/// One search; remembers the methods of the routes it had to pass by.
struct Search<'s, T, H> {
    table: &'s Table<T>,
    method: &'s str,
    segments: &'s [&'s str],
    has: &'s H,
    allow: BTreeSet<String>,
}

type Verb<'s> = Option<&'s str>;

impl<'s, T, H: Fn(&str) -> bool> Search<'s, T, H> {
    /// Walks on from a node with the segments from `at`; gives the rule and the verb that was read.
    fn walk(&mut self, node: usize, at: usize, verb: Verb<'s>) -> Option<(usize, Verb<'s>)> {
        let table = self.table;
        let node = &table.nodes[node];
        if at == self.segments.len()
            && let Some(rule) = self.leaf(node, verb)
        {
            return Some((rule, verb));
        }
        for (text, verb) in self.readings(at) {
            if let Some(child) = node.literals.get(percent::normalise(text).as_ref())
                && let Some(found) = self.walk(*child, at + 1, verb)
            {
                return Some(found);
            }
        }
        if let Some(child) = node.single {
            for (_, verb) in self.readings(at).into_iter().filter(|(text, _)| !text.is_empty()) {
                if let Some(found) = self.walk(child, at + 1, verb) {
                    return Some(found);
                }
            }
        }
        self.walk_multi(node.multi?, at, verb)
    }

    /// A template's tail after `**` has a fixed length, so each number of segments it may take is tried, fewest first.
    fn walk_multi(&mut self, child: usize, at: usize, verb: Verb<'s>) -> Option<(usize, Verb<'s>)> {
        for end in at..self.segments.len() {
            if let Some(found) = self.walk(child, end, verb) {
                return Some(found);
            }
        }
        if at == self.segments.len() {
            return self.walk(child, at, verb);
        }
        let last = self.segments.len() - 1;
        self.readings(last).into_iter().find_map(|(_, verb)| self.walk(child, last + 1, verb))
    }

    /// How a segment may be read: the last one first without its verb, if it has one, then whole.
    fn readings(&self, at: usize) -> Vec<(&'s str, Verb<'s>)> {
        let Some(text) = self.segments.get(at).copied() else { return Vec::new() };
        match text.rsplit_once(':') {
            Some((base, verb)) if at + 1 == self.segments.len() => vec![(base, Some(verb)), (text, None)],
            _ => vec![(text, None)],
        }
    }

    fn leaf(&mut self, node: &Node, verb: Verb<'s>) -> Option<usize> {
        let methods = node.leaf.get(&verb.map(|verb| percent::normalise(verb).into_owned()))?;
        let stand_in = if self.method == "HEAD" { Some("GET") } else { None };
        for method in [Some(self.method), stand_in, Some("*")].into_iter().flatten() {
            let rules = methods.get(method).into_iter().flatten().copied();
            for rule in rules {
                if self.table.rules[rule].required_query.iter().all(|name| (self.has)(name)) {
                    return Some(rule);
                }
            }
        }
        self.allow.extend(methods.keys().filter(|method| *method != "*" && *method != self.method).cloned());
        None
    }
}
