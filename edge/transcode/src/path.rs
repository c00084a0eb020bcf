//! What may be done to a request's path before a rule is looked for. By default nothing: `/a/` and `/a//b` are other
//! paths than `/a` and `/a/b`.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Which slashes of a request's path do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slashes {
    /// Those at the end. Default false.
    pub ignore_trailing: bool,
    /// Those that follow another. Default false.
    pub merge: bool,
}

impl Slashes {
    /// The path to look for.
    #[must_use]
    pub fn apply(self, path: &str) -> Cow<'_, str> {
        let mut path = Cow::Borrowed(path);
        if self.merge && path.contains("//") {
            let mut merged = String::with_capacity(path.len());
            for byte in path.chars() {
                if byte != '/' || !merged.ends_with('/') {
                    merged.push(byte);
                }
            }
            path = Cow::Owned(merged);
        }
        let length = path.trim_end_matches('/').len().max(1);
        if self.ignore_trailing && length < path.len() {
            match &mut path {
                Cow::Borrowed(path) => *path = &path[..length],
                Cow::Owned(path) => path.truncate(length),
            }
        }
        path
    }
}
