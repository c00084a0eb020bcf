//! The routing table: a tree of segments, searched depth first with backtracking, without allocation.
//!
//! Precedence, segment by segment and whatever the order of the rules: a literal beats `*` beats `**`; a verb
//! registered on a route's own node beats reading it as text; a shorter `**` beats a longer one; an exact method beats
//! GET standing in for HEAD beats the method `*`; of rules that require query parameters the one that requires most.
//! A node that lacks the method does not end the search, it only adds to `Allow`.
//!
//! No path makes the search long: a template has one `**` at most and its tail has a fixed length, so each node is seen
//! at most twice for each length of a tail, however many segments the path has.
//!
//! # Example
//! ```
//! use malla_transcode::table::{Miss, Prefer, Rule, Table};
//! use malla_transcode::template::Template;
//!
//! let rule = |method: &str, path: &str| {
//!     Template::parse(path).map(|template| Rule {
//!         http_method: method.to_owned(),
//!         template,
//!         required_query: Vec::new(),
//!         value: path.to_owned(),
//!     })
//! };
//! let rules = vec![rule("GET", "/v1/{name=files/**}")?, rule("POST", "/v1/{name=files/**}:move")?];
//! let (table, clashes) = Table::build(rules, Prefer::First);
//! assert!(clashes.is_empty());
//!
//! let found = table.find("GET", "/v1/files/a/b", |_| false).expect("a rule has it");
//! assert_eq!(found.captures().map(|(_, text)| text).collect::<Vec<_>>(), ["files/a/b"]);
//! let missed = table.find("PUT", "/v1/files/a:move", |_| false).expect_err("no rule has PUT");
//! assert!(matches!(missed, Miss::Method { allow } if allow.contains("POST")));
//! # Ok::<_, malla_transcode::template::TemplateError>(())
//! ```

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use crate::percent::{self, DecodeError, Keep};
use crate::template::{Captures, Segment, Template, Variable};

mod search;
#[cfg(test)]
mod tests;

/// One HTTP binding.
#[derive(Clone, Debug)]
pub struct Rule<T> {
    /// The HTTP method, case-sensitive; `*` for any.
    pub http_method: String,
    /// Which paths it is for.
    pub template: Template,
    /// Query parameters that must be present; none by default.
    pub required_query: Vec<String>,
    /// What the table is to give for it.
    pub value: T,
}

/// All rules, ready to be searched.
#[derive(Debug)]
pub struct Table<T> {
    nodes: Vec<Node>,
    /// The HTTP methods of all rules, once each.
    methods: Vec<String>,
    rules: Vec<Rule<T>>,
}

/// Which of two rules stays that no request could tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// The one that comes first.
    #[default]
    First,
    /// The one that comes last.
    Last,
}

/// Two rules of the same shape, verb, method and required parameters, by their place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The one the table gives.
    pub kept: usize,
    /// The one no request reaches.
    pub dropped: usize,
}

/// A rule that matched a request.
#[derive(Debug)]
pub struct Match<'t, 'p, T> {
    /// The rule.
    pub rule: &'t Rule<T>,
    /// Its place in the list the table was built from.
    pub index: usize,
    path: &'p str,
    verb: bool,
}

/// Why nothing matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss<'t> {
    /// The path is no URI's: a '%' without two hexadecimal digits. 400.
    Malformed {
        /// In bytes, from 0.
        at: usize,
    },
    /// No rule has the path. 404.
    Path,
    /// The path has rules, for these methods; HEAD stands in where GET does, OPTIONS always. 405, or the answer to
    /// OPTIONS.
    Method {
        /// The value of the header `Allow`.
        allow: BTreeSet<&'t str>,
    },
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by their text.
    literals: Vec<Literal>,
    single: Option<usize>,
    multi: Option<usize>,
    /// Of the node of a `**`: how many segments templates have after it, longest first.
    tails: Vec<usize>,
    /// Sorted by their verb.
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Literal {
    /// The text's first bytes, filled up with zeros: most texts are told apart by them, without looking elsewhere.
    start: [u8; 8],
    text: Box<str>,
    node: usize,
}

/// What ends at a node, for one verb or none.
#[derive(Debug)]
struct Leaf {
    verb: Option<Box<str>>,
    /// Most required parameters first.
    ends: Vec<End>,
}

#[derive(Debug)]
struct End {
    /// Its place in `Table::methods`.
    method: usize,
    rule: usize,
    /// Whether the rule requires query parameters.
    requires: bool,
}

impl<T> Table<T> {
    /// Builds the table. Rules that clash are told, and one of them is given; whoever would rather refuse looks at the
    /// list.
    #[must_use]
    pub fn build(rules: Vec<Rule<T>>, prefer: Prefer) -> (Self, Vec<Clash>) {
        let mut table = Self { nodes: vec![Node::default()], methods: Vec::new(), rules };
        let mut clashes = Vec::new();
        for index in 0..table.rules.len() {
            table.rules[index].required_query.sort_unstable();
            clashes.extend(table.insert(index, prefer));
        }
        (table, clashes)
    }

    /// All rules, those that clashed included, in the order they came.
    #[must_use]
    pub fn rules(&self) -> &[Rule<T>] {
        &self.rules
    }

    /// The same table with other values.
    pub fn map<U>(self, mut value: impl FnMut(T) -> U) -> Table<U> {
        let Self { nodes, methods, rules } = self;
        let rules = rules.into_iter().map(|Rule { http_method, template, required_query, value: old }| Rule {
            http_method,
            template,
            required_query,
            value: value(old),
        });
        Table { nodes, methods, rules: rules.collect() }
    }

    /// Finds the rule of a request. `path` is raw: not decoded, without its query (see [`crate::path`]); `has`
    /// tells whether the query has a parameter.
    ///
    /// # Errors
    /// No rule matches.
    pub fn find<'t, 'p>(
        &'t self,
        method: &str,
        path: &'p str,
        has: impl Fn(&str) -> bool,
    ) -> Result<Match<'t, 'p, T>, Miss<'t>> {
        if let Some(at) = percent::malformed(path) {
            return Err(Miss::Malformed { at });
        }
        let (index, verb) = search::search(self, method, path, &has)?;
        Ok(Match { rule: &self.rules[index], index, path, verb })
    }

    fn insert(&mut self, index: usize, prefer: Prefer) -> Option<Clash> {
        let Self { nodes, methods, rules } = self;
        let rule = &rules[index];
        let mut at = 0;
        for (place, segment) in rule.template.segments.iter().enumerate() {
            at = child(nodes, at, segment);
            if *segment == Segment::Multi {
                let (node, tail) = (&mut nodes[at], rule.template.segments.len() - place - 1);
                if let Err(place) = node.tails.binary_search_by_key(&Reverse(tail), |tail| Reverse(*tail)) {
                    node.tails.insert(place, tail);
                }
            }
        }
        let method = methods.iter().position(|method| *method == rule.http_method).unwrap_or_else(|| {
            methods.push(rule.http_method.clone());
            methods.len() - 1
        });
        let ends = &mut nodes[at].leaf(rule.template.verb.as_deref()).ends;
        let rival =
            ends.iter_mut().find(|end| end.method == method && rules[end.rule].required_query == rule.required_query);
        let Some(rival) = rival else {
            ends.push(End { method, rule: index, requires: !rule.required_query.is_empty() });
            ends.sort_by_key(|end| (Reverse(rules[end.rule].required_query.len()), &rules[end.rule].required_query));
            return None;
        };
        let clash = match prefer {
            Prefer::First => Clash { kept: rival.rule, dropped: index },
            Prefer::Last => Clash { kept: index, dropped: rival.rule },
        };
        rival.rule = clash.kept;
        Some(clash)
    }
}

/// The child of a node for a segment; made where there is none.
fn child(nodes: &mut Vec<Node>, at: usize, segment: &Segment) -> usize {
    let new = nodes.len();
    let node = &mut nodes[at];
    let child = match segment {
        Segment::Literal(text) => match node.literal(text) {
            Ok(place) => node.literals[place].node,
            Err(place) => {
                node.literals.insert(place, Literal { start: start(text), text: text.as_str().into(), node: new });
                new
            }
        },
        Segment::Single => *node.single.get_or_insert(new),
        Segment::Multi => *node.multi.get_or_insert(new),
    };
    if child == new {
        nodes.push(Node::default());
    }
    child
}

/// The first bytes of a text, filled up with zeros.
fn start(text: &str) -> [u8; 8] {
    let mut start = [0; 8];
    for (to, byte) in start.iter_mut().zip(text.bytes()) {
        *to = byte;
    }
    start
}

impl Node {
    /// The place of a literal, or where it would be. The text need not be normalised.
    fn literal(&self, text: &str) -> Result<usize, usize> {
        if text.contains('%') {
            return self.literals.binary_search_by(|literal| compare(&literal.text, text));
        }
        let start = start(text);
        self.literals.binary_search_by(|literal| literal.start.cmp(&start).then_with(|| (*literal.text).cmp(text)))
    }

    /// The place of a verb, or where it would be. It need not be normalised.
    fn verb(&self, verb: Option<&str>) -> Result<usize, usize> {
        self.leaves.binary_search_by(|leaf| match (leaf.verb.as_deref(), verb) {
            (Some(known), Some(verb)) => compare(known, verb),
            (known, verb) => known.is_some().cmp(&verb.is_some()),
        })
    }

    fn leaf(&mut self, verb: Option<&str>) -> &mut Leaf {
        let place = self.verb(verb).unwrap_or_else(|place| {
            self.leaves.insert(place, Leaf { verb: verb.map(Into::into), ends: Vec::new() });
            place
        });
        &mut self.leaves[place]
    }
}

/// Compares a normalised text to one that need not be.
fn compare(known: &str, text: &str) -> Ordering {
    if text.contains('%') { known.bytes().cmp(percent::normal(text)) } else { known.cmp(text) }
}

impl<'t, 'p, T> Match<'t, 'p, T> {
    /// The variables' texts as they stand in the path, still percent-encoded.
    #[must_use]
    pub fn captures(&self) -> Captures<'t, 'p> {
        self.rule.template.captures(self.path, self.verb)
    }

    /// The variables' texts, each decoded once: whole where the variable is one segment, else as `keep` says.
    pub fn variables(
        &self,
        keep: Keep,
    ) -> impl Iterator<Item = (&'t Variable, Result<Cow<'p, str>, DecodeError>)> + use<'t, 'p, T> {
        self.captures().map(move |(variable, raw)| {
            (variable, percent::decode(raw, if variable.multi { keep } else { Keep::Nothing }))
        })
    }
}
