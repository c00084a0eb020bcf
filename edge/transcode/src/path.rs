//! What may be done to a request's path before a rule is looked for. By default nothing: `/a/` is another path than `/a`.

#[cfg(test)]
mod tests;

/// The path without the slashes at its end; the root keeps its own.
#[must_use]
pub fn without_trailing_slashes(path: &str) -> &str {
    &path[..path.trim_end_matches('/').len().max(1).min(path.len())]
}
