//! What is searched for, and whether a name or a text fits. Pure.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Longest condition.
const CONDITION_BYTES_MAX: usize = 1_024;
/// One of these makes a pattern a glob.
const GLOB_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// A field that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub(crate) struct Invalid {
    pub(crate) field: &'static str,
    pub(crate) description: String,
}

/// Conditions as the client gives them; empty is not given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) name: String,
    pub(crate) substring: String,
    pub(crate) glob: String,
    pub(crate) pattern: String,
    pub(crate) content: String,
}

/// Conditions that all have to hold; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    names: Vec<Name>,
    content: Option<Vec<u8>>,
}

/// A condition on a file's name.
#[derive(Clone, Debug)]
enum Name {
    Exact(String),
    /// In lower case.
    Part(String),
    Glob(GlobSet),
}

impl Query {
    pub(crate) fn new(conditions: Conditions) -> Result<Self, Invalid> {
        let Conditions { name, substring, glob, pattern, content } = conditions;
        let given =
            [("name", &name), ("substring", &substring), ("glob", &glob), ("pattern", &pattern), ("content", &content)];
        if let Some((field, _)) = given.iter().find(|(_, text)| text.len() > CONDITION_BYTES_MAX) {
            return Err(Invalid { field, description: format!("must be at most {CONDITION_BYTES_MAX} bytes") });
        }
        if given.iter().all(|(_, text)| text.is_empty()) {
            let description = "at least one of name, substring, glob, pattern and content must be given".to_owned();
            return Err(Invalid { field: "pattern", description });
        }
        let mut names = Vec::new();
        if !name.is_empty() {
            names.push(Name::Exact(name));
        }
        if !substring.is_empty() {
            names.push(Name::Part(substring.to_lowercase()));
        }
        if !glob.is_empty() {
            names.push(Name::glob("glob", &glob)?);
        }
        if pattern.contains(GLOB_CHARACTERS) {
            names.push(Name::glob("pattern", &pattern)?);
        } else if !pattern.is_empty() {
            names.push(Name::Part(pattern.to_lowercase()));
        }
        let content = (!content.is_empty()).then(|| content.into_bytes());
        Ok(Self { names, content })
    }

    /// Whether a file's name fits.
    pub(crate) fn fits_name(&self, name: &str) -> bool {
        self.names.iter().all(|condition| match condition {
            Name::Exact(exact) => name == exact,
            Name::Part(part) => name.to_lowercase().contains(part),
            Name::Glob(glob) => glob.is_match(name),
        })
    }

    /// A finder of the content searched for, if any.
    pub(crate) fn finder(&self) -> Option<Finder<'_>> {
        self.content.as_deref().map(Finder::new)
    }
}

impl Name {
    /// Globs are compared byte by byte: `?` and `[..]` stand for one ASCII character.
    fn glob(field: &'static str, glob: &str) -> Result<Self, Invalid> {
        let built = GlobBuilder::new(glob).build();
        // A set, because making a single matcher panics on what the regex engine refuses.
        let set = built.and_then(|glob| GlobSetBuilder::new().add(glob).build());
        set.map(Self::Glob).map_err(|error| Invalid { field, description: format!("is no glob: {}", error.kind()) })
    }
}

/// Finds the first line with a text in what it is fed, piece by piece.
#[derive(Debug)]
pub(crate) struct Finder<'a> {
    text: &'a [u8],
    /// The end of what came before, too short to hold the text.
    tail: Vec<u8>,
    /// The line `tail` begins in, counted from 1.
    line: usize,
}

impl<'a> Finder<'a> {
    /// `text` is not empty.
    fn new(text: &'a [u8]) -> Self {
        Self { text, tail: Vec::new(), line: 1 }
    }

    /// The line the text begins in, once it has been seen.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Option<i32> {
        self.tail.extend_from_slice(piece);
        if let Some(at) = self.tail.windows(self.text.len()).position(|window| window == self.text) {
            return Some(i32::try_from(self.line + newlines(&self.tail[..at])).unwrap_or(i32::MAX));
        }
        let done = (self.tail.len() + 1).saturating_sub(self.text.len());
        self.line += newlines(&self.tail[..done]);
        self.tail.drain(..done);
        None
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
