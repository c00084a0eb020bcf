//! Bindings that no request reaches, or hardly any, since for each request they match another one comes first.
//!
//! Decided by searching the table for a few witnesses, without guessing. A binding is hardest to take a request from
//! where the request gives nothing away: in place of each `*` a text that is no literal of the table, and only the
//! query parameters that the binding requires itself. Another binding that wins such a request has `*` or `**` there
//! too, so it wins with any other text as well. What is left to vary is how many segments `**` takes, more of them than
//! the longest template has making no difference; and an empty one at the end, which only a `**` there matches.

use std::collections::{BTreeSet, HashSet};
use std::iter;

use super::{Code, Finding, Route};
use crate::table::{Clash, Match, Table};
use crate::template::{Segment, Template};

/// How many of the bindings that stand in the way are named.
const NAMED_MAX: usize = 3;

/// Those that clash are told already, and not told again.
pub(super) fn unreachable(table: &Table<Route<'_>>, clashes: &[Clash]) -> Vec<Finding> {
    let told: HashSet<usize> = clashes.iter().map(|clash| clash.dropped).collect();
    let mut words: HashSet<&str> = table.rules().iter().map(|rule| &*rule.http_method).collect();
    for segment in table.rules().iter().flat_map(|rule| &rule.template.segments) {
        if let Segment::Literal(text) = segment {
            words.insert(text);
        }
    }
    let mut fresh = "x".to_owned();
    while words.contains(&*fresh) {
        fresh.push('x');
    }
    let longest = table.rules().iter().map(|rule| rule.template.segments.len()).max().unwrap_or(0);
    let candidates = (0..table.rules().len()).filter(|index| !told.contains(index));
    candidates.filter_map(|index| find(table, index, &fresh, longest)).collect()
}

fn find(table: &Table<Route<'_>>, index: usize, fresh: &str, longest: usize) -> Option<Finding> {
    let rule = &table.rules()[index];
    let method = if rule.http_method == "*" { fresh } else { &rule.http_method };
    let has = |name: &str| rule.required_query.iter().any(|required| required == name);
    let (mut rivals, mut hardly) = (BTreeSet::new(), false);
    for (path, is_odd) in witnesses(&rule.template, fresh, longest) {
        match table.find(method, &path, has) {
            Ok(Match { index: found, .. }) if found != index => drop(rivals.insert(found)),
            _ if is_odd => hardly = true,
            _ => return None,
        }
    }
    let named = rivals.iter().take(NAMED_MAX).map(|rival| {
        let rival = &table.rules()[*rival].value.declared;
        format!("\"{}\" of {}", rival.binding, rival.method.full_name)
    });
    let (code, which) = if hardly {
        (Code::Shadowed, "no request in which ** is a segment or more")
    } else {
        (Code::Unreachable, "no request")
    };
    let message = format!("{which} reaches it: {} come first", named.collect::<Vec<_>>().join(", "));
    Some(rule.value.declared.finding(code, message).help("make its path more specific, or leave it out"))
}

/// The paths to try, and of each whether it says little that it leads to the binding: `**` takes nothing there, or an
/// empty segment at its end.
fn witnesses<'t>(template: &'t Template, fresh: &'t str, longest: usize) -> impl Iterator<Item = (String, bool)> + 't {
    let has_multi = template.multi_at().is_some();
    let is_open = template.segments.last() == Some(&Segment::Multi);
    let taken = 0..=if has_multi { longest } else { 0 };
    taken.flat_map(move |count| {
        let path = template.fill(fresh, &vec![fresh; count].join("/"));
        let verb = template.verb.as_ref().map_or(0, |verb| verb.len() + 1);
        let mut with_slash = path.clone();
        with_slash.insert(path.len() - verb, '/');
        let with_slash = Some((with_slash, true)).filter(|(path, _)| is_open && !path.starts_with("//"));
        iter::once((path, has_multi && count == 0)).chain(with_slash)
    })
}
