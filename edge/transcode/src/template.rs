//! The path template grammar of `google.api.http`, parsed whole and with positions in its errors.
//!
//! ```text
//! Template = "/" [ Segments [ ":" LITERAL ] ]      Segments = Segment { "/" Segment }
//! Segment  = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}"
//! ```
//! `**` may stand anywhere but only once; a variable holds no variable; nothing is glued to `*` or `{..}`. It knows
//! no message: whether a field path exists is for [`crate::check`] to say.

use std::fmt;

use crate::percent;

mod captures;
mod parse;
#[cfg(test)]
mod tests;

pub use captures::Captures;

/// The most segments a template may have; the longest of googleapis has 15.
pub const SEGMENTS_MAX: usize = 64;

/// The most bytes a template may have.
pub const BYTES_MAX: usize = 2_048;

/// A parsed template. Its `Display` is the text it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Template {
    /// As it was written.
    pub text: String,
    /// What the path's segments must be, in order; none for `/`.
    pub segments: Vec<Segment>,
    /// The custom verb, percent-normalised, without its colon.
    pub verb: Option<String>,
    /// In the order of the text.
    pub variables: Vec<Variable>,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, percent-normalised.
    Literal(String),
    /// `*`: any one segment that is not empty.
    Single,
    /// `**`: any number of segments, none included.
    Multi,
}

/// A field bound to a run of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// `a.b.c`
    pub field_path: String,
    /// Its first segment in the template.
    pub start: usize,
    /// The segment after its last.
    pub end: usize,
    /// Whether it may hold several segments, and so keeps what [`percent::Keep`] says.
    pub multi: bool,
}

/// Why a template is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at column {column} of \"{template}\"")]
#[non_exhaustive]
pub struct TemplateError {
    /// The template as it was written.
    pub template: String,
    /// In bytes, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// The first thing the grammar does not allow, and its column.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(text)
    }

    /// Where `**` stands, if there is one.
    #[must_use]
    pub fn multi_at(&self) -> Option<usize> {
        self.segments.iter().position(|segment| *segment == Segment::Multi)
    }

    /// The texts of the variables in a path that the template matches; `verb` tells whether the path's last colon
    /// begins a verb. Paths it does not match give nonsense, but no panic.
    #[must_use]
    pub fn captures<'t, 'p>(&'t self, path: &'p str, verb: bool) -> Captures<'t, 'p> {
        Captures::new(self, path, verb)
    }

    /// A path that matches: `single` for each `*`, `multi` for `**`; with an empty `multi` it takes no segment.
    pub(crate) fn fill(&self, single: &str, multi: &str) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            let text = match segment {
                Segment::Literal(text) => text,
                Segment::Single => single,
                Segment::Multi if multi.is_empty() => continue,
                Segment::Multi => multi,
            };
            path.push('/');
            path.push_str(text);
        }
        if let Some(verb) = &self.verb {
            path.push(':');
            path.push_str(verb);
        }
        if path.starts_with('/') { path } else { format!("/{path}") }
    }

    /// The template without the names of its variables: two of one shape match the same paths.
    #[must_use]
    pub fn shape(&self) -> Shape<'_> {
        Shape { segments: &self.segments, verb: self.verb.as_deref() }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// See [`Template::shape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape<'t> {
    segments: &'t [Segment],
    verb: Option<&'t str>,
}

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in self.segments {
            write!(f, "/{segment}")?;
        }
        match self.verb {
            Some(verb) => write!(f, ":{verb}"),
            None if self.segments.is_empty() => f.write_str("/"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Literal(text) => text,
            Self::Single => "*",
            Self::Multi => "**",
        })
    }
}
