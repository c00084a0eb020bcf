//! What is searched for, and whether a name or a text fits. Pure.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use malla_runtime::status::Invalid;

/// Longest condition.
const CONDITION_BYTES_MAX: usize = 1_024;
/// One of these makes a pattern a glob.
const GLOB_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

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
    content: Option<Text>,
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
            let description = format!("must be at most {CONDITION_BYTES_MAX} bytes").into();
            return Err(Invalid { field, description });
        }
        if given.iter().all(|(_, text)| text.is_empty()) {
            let description = "at least one of name, substring, glob, pattern and content must be given".into();
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
        let content = (!content.is_empty()).then(|| Text::new(content.into_bytes()));
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
        self.content.as_ref().map(|text| Finder { text, fitting: 0, line: 1 })
    }
}

impl Name {
    /// Globs are compared byte by byte: `?` and `[..]` stand for one ASCII character.
    fn glob(field: &'static str, glob: &str) -> Result<Self, Invalid> {
        let built = GlobBuilder::new(glob).build();
        // A set, because making a single matcher panics on what the regex engine refuses.
        let set = built.and_then(|glob| GlobSetBuilder::new().add(glob).build());
        let refuse =
            |error: globset::Error| Invalid { field, description: format!("is no glob: {}", error.kind()).into() };
        set.map(Self::Glob).map_err(refuse)
    }
}

/// A text to look for, in time that grows with what is looked through and not with the text (Knuth, Morris and Pratt,
/// 1977): whoever stores files must not choose what a search costs.
#[derive(Clone, Debug)]
struct Text {
    bytes: Vec<u8>,
    /// For each prefix of the text, by its last byte: how long the longest shorter prefix is that it ends with.
    borders: Vec<usize>,
}

impl Text {
    /// `bytes` are not empty.
    fn new(bytes: Vec<u8>) -> Self {
        let mut text = Self { bytes, borders: vec![0] };
        let mut fitting = 0;
        for at in 1..text.bytes.len() {
            fitting = text.next(fitting, text.bytes[at]);
            text.borders.push(fitting);
        }
        text
    }

    /// How much of the text fits with one byte more, when `fitting` bytes, not all, did before.
    fn next(&self, mut fitting: usize, byte: u8) -> usize {
        while fitting > 0 && self.bytes[fitting] != byte {
            fitting = self.borders[fitting - 1];
        }
        fitting + usize::from(self.bytes[fitting] == byte)
    }
}

/// Finds the first line with a text in what it is fed, piece by piece.
#[derive(Debug)]
pub(crate) struct Finder<'a> {
    text: &'a Text,
    /// How much of the text the bytes so far end with.
    fitting: usize,
    /// The line the next byte is in, counted from 1.
    line: usize,
}

impl Finder<'_> {
    /// The line the text begins in, once it has been seen; nothing is fed after that.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Option<i32> {
        for byte in piece {
            self.fitting = self.text.next(self.fitting, *byte);
            self.line += usize::from(*byte == b'\n');
            if self.fitting == self.text.bytes.len() {
                return Some(i32::try_from(self.line - newlines(&self.text.bytes)).unwrap_or(i32::MAX));
            }
        }
        None
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
