//! What a new table has that the old one had not, and the other way round.

use std::collections::BTreeMap;

use crate::edge::Shared;

#[cfg(test)]
mod tests;

/// What became of routes (`GET /v1/things/{id}`) and RPCs (`/pkg.Service/Method`), each in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that stand for something else now: another RPC, backend, access or status.
    pub changed: Vec<String>,
    /// What is wrong with routes of foreign backends that are left out for it, where that is new.
    pub left_out: Vec<String>,
}

impl Changes {
    /// Compares two tables.
    pub(crate) fn between(before: &Shared, after: &Shared) -> Self {
        let left_out = after.left_out.iter().filter(|problem| !before.left_out.contains(problem)).cloned();
        let mut changes = Self { left_out: left_out.collect(), ..Self::default() };
        let (before, mut after) = (lines(before), lines(after));
        for (line, meaning) in before {
            match after.remove(&line) {
                None => changes.removed.push(line),
                Some(now) if now != meaning => changes.changed.push(line),
                Some(_) => {}
            }
        }
        changes.added = after.into_keys().collect();
        changes
    }
}

/// Every route and RPC, and all that it stands for.
fn lines(shared: &Shared) -> BTreeMap<String, String> {
    let routes = shared.routes().map(|row| {
        let query = if row.required_query.is_empty() { "" } else { "?" };
        let line = format!("{} {}{query}{}", row.http_method, row.path, row.required_query.join("&"));
        (line, format!("{row:?}"))
    });
    let rpcs = shared.methods.iter().map(|(path, method)| {
        let streaming = (method.client_streaming, method.server_streaming);
        (path.clone(), format!("{} {:?} {streaming:?}", method.backend, method.access))
    });
    routes.chain(rpcs).collect()
}
