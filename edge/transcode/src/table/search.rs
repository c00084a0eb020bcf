//! One search in a table. The path is cut at its slashes on the way, so nothing is stored for it.

use std::collections::BTreeSet;

use super::{Miss, Node, Table};

/// Gives the rule's place, and whether the path's last colon was read as the beginning of a verb.
pub(super) fn search<'t>(
    table: &'t Table<impl Sized>,
    method: &str,
    path: &str,
    has: &impl Fn(&str) -> bool,
) -> Result<(usize, bool), Miss<'t>> {
    // Empty segments inside match nothing, not even `**`.
    let has_empty = path.as_bytes().windows(2).any(|pair| pair == b"//");
    let Some(rest) = path.strip_prefix('/').filter(|_| !has_empty) else { return Err(Miss::Path) };
    let id = |method: &str| table.methods.iter().position(|known| known == method);
    let methods = [id(method), if method == "HEAD" { id("GET") } else { None }, id("*")];
    let mut search = Search { table, methods, has, allow: BTreeSet::new(), visits: 0 };
    let found = search.walk(0, (!rest.is_empty()).then_some(rest), None);
    #[cfg(test)]
    super::tests::VISITS.set(search.visits);
    if let Some(found) = found {
        return Ok(found);
    }
    let mut allow = search.allow;
    if allow.is_empty() {
        return Err(Miss::Path);
    }
    if allow.contains("GET") {
        allow.insert("HEAD");
    }
    allow.insert("OPTIONS");
    Err(Miss::Method { allow })
}

/// Remembers the methods of the routes it had to pass by.
struct Search<'s, 't, T, H> {
    table: &'t Table<T>,
    /// Those that will do, in their order: the request's, GET for HEAD, any.
    methods: [Option<usize>; 3],
    has: &'s H,
    allow: BTreeSet<&'t str>,
    visits: usize,
}

type Found = Option<(usize, bool)>;

impl<'t, T, H: Fn(&str) -> bool> Search<'_, 't, T, H> {
    /// Walks on from a node with the rest of the path, None at its end, and the verb that was read there.
    fn walk(&mut self, node: usize, rest: Option<&str>, verb: Option<&str>) -> Found {
        self.visits += 1;
        let table = self.table;
        let node = &table.nodes[node];
        let Some(rest) = rest else {
            return self.leaf(node, verb).or_else(|| self.leaf(&table.nodes[node.multi?], verb));
        };
        let (segment, after) = rest.split_once('/').map_or((rest, None), |(segment, after)| (segment, Some(after)));
        let (text, verb) = if after.is_none() { verb_of(segment) } else { (segment, None) };
        if let Ok(place) = node.literal(text)
            && let Some(found) = self.walk(node.literals[place].node, after, verb)
        {
            return Some(found);
        }
        if let Some(child) = node.single {
            if verb.is_some()
                && !text.is_empty()
                && let Some(found) = self.walk(child, after, verb)
            {
                return Some(found);
            }
            if !segment.is_empty()
                && let Some(found) = self.walk(child, after, None)
            {
                return Some(found);
            }
        }
        self.multi(node.multi?, rest)
    }

    /// The tail after a `**` has one of a few lengths, so it is looked for at so many segments from the end.
    fn multi(&mut self, child: usize, rest: &str) -> Found {
        let table = self.table;
        let node = &table.nodes[child];
        let segments = rest.split('/').count();
        for tail in node.tails.iter().copied().filter(|tail| *tail <= segments) {
            let found = if tail == 0 {
                let (_, verb) = verb_of(rest.rsplit('/').next().unwrap_or_default());
                verb.and_then(|verb| self.leaf(node, Some(verb))).or_else(|| self.leaf(node, None))
            } else {
                let slash = rest.rmatch_indices('/').nth(tail - 1);
                self.walk(child, Some(slash.map_or(rest, |(at, _)| &rest[at + 1..])), None)
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn leaf(&mut self, node: &'t Node, verb: Option<&str>) -> Found {
        let table = self.table;
        let ends = &node.leaves[node.verb(verb).ok()?].ends;
        let given = |rule: usize| table.rules[rule].required_query.iter().all(|name| (self.has)(name));
        for method in self.methods.into_iter().flatten() {
            if let Some(end) = ends.iter().find(|end| end.method == method && (!end.requires || given(end.rule))) {
                return Some((end.rule, verb.is_some()));
            }
        }
        let methods = self.methods;
        let others = ends.iter().filter(|end| !methods.contains(&Some(end.method)));
        self.allow.extend(others.map(|end| table.methods[end.method].as_str()));
        None
    }
}

/// The last segment of a path, apart from what may be a verb: only a raw colon begins one, and the last one.
fn verb_of(segment: &str) -> (&str, Option<&str>) {
    segment.rsplit_once(':').map_or((segment, None), |(text, verb)| (text, Some(verb)))
}
