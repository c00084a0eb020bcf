//! The variables' texts in a path: cut out of it when asked for, so that nothing is stored for a match.

use super::{Template, Variable};

/// Each variable of a template with its raw text: still percent-encoded, `""` for a `**` that took no segment.
#[derive(Clone, Debug)]
pub struct Captures<'t, 'p> {
    variables: std::slice::Iter<'t, Variable>,
    /// The segments of the path that were not passed yet, without a verb. None: there are none.
    rest: Option<&'p str>,
    /// The template's segment that `rest` begins with.
    at: usize,
    /// Where the template's `**` stands, and how many segments it took.
    multi: Option<(usize, usize)>,
}

impl<'t, 'p> Captures<'t, 'p> {
    pub(super) fn new(template: &'t Template, path: &'p str, verb: bool) -> Self {
        let path = if verb { path.rsplit_once(':').map_or(path, |(path, _)| path) } else { path };
        let rest = path.strip_prefix('/').filter(|rest| !(rest.is_empty() && template.segments.is_empty()));
        let multi = template.multi_at().map(|at| {
            let given = rest.map_or(0, |rest| rest.split('/').count());
            (at, (given + 1).saturating_sub(template.segments.len()))
        });
        Self { variables: template.variables.iter(), rest, at: 0, multi }
    }

    /// The path's text for the template's segments up to `end`.
    fn take(&mut self, end: usize) -> &'p str {
        let segments = match self.multi {
            Some((multi, taken)) if (self.at..end).contains(&multi) => end - self.at - 1 + taken,
            _ => end - self.at,
        };
        self.at = end;
        let Some(rest) = self.rest.filter(|_| segments > 0) else { return "" };
        let slash = rest.match_indices('/').nth(segments - 1);
        let (text, rest) = slash.map_or((rest, None), |(at, _)| (&rest[..at], Some(&rest[at + 1..])));
        self.rest = rest;
        text
    }
}

impl<'t, 'p> Iterator for Captures<'t, 'p> {
    type Item = (&'t Variable, &'p str);

    fn next(&mut self) -> Option<Self::Item> {
        let variable = self.variables.next()?;
        self.take(variable.start);
        Some((variable, self.take(variable.end)))
    }
}
