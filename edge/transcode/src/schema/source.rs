//! Where in the protos a declaration stands, and what its author wrote about it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::descriptor::{FileDescriptorProto, Location};

/// Where something is declared. Displayed as `file:line`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's name as in its descriptor.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the descriptors carry no source information.
    pub line: u32,
    /// The comment before it, or else the one behind it, without comment signs; empty for none.
    pub comment: Box<str>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { formatter.write_str(&self.file) } else { write!(formatter, "{}:{}", self.file, self.line) }
    }
}

/// The locations of one file, by their path (`SourceCodeInfo.Location.path`).
pub(super) struct Sources<'a> {
    pub(super) file: Arc<str>,
    locations: HashMap<&'a [i32], &'a Location>,
}

impl<'a> Sources<'a> {
    pub(super) fn of(file: &'a FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        Self {
            file: file.name.as_str().into(),
            locations: locations.map(|location| (location.path.as_slice(), location)).collect(),
        }
    }

    pub(super) fn line(&self, path: &[i32]) -> Option<u32> {
        let line = *self.locations.get(path)?.span.first()?;
        Some(u32::try_from(line).ok()?.saturating_add(1))
    }

    pub(super) fn at(&self, path: &[i32]) -> Source {
        let comment = self.locations.get(path).map(|location| {
            let leading = location.leading_comments.trim();
            if leading.is_empty() { location.trailing_comments.trim() } else { leading }
        });
        let lines: Vec<&str> =
            comment.unwrap_or_default().lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
        Source { file: self.file.clone(), line: self.line(path).unwrap_or_default(), comment: lines.join("\n").into() }
    }
}
