//! The walk through the folder. Every call here may block.
//!
//! cap-std keeps the walk inside the folder; links are not followed and special files not opened. The walk goes in
//! the order of paths, so that a page can begin after any path and a walk that ends early can be continued.

use std::io::{self, ErrorKind, Read as _};
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::query::Query;

/// As deep as paths can be named.
const DEPTH_MAX: usize = 32;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    /// First line with the content searched for; 0 when none was.
    pub(crate) line: i32,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Ordered by path.
    pub(crate) found: Vec<Found>,
    /// Whether files were passed over because of a limit.
    pub(crate) incomplete: bool,
    /// Where a search that a limit ended can go on: after this path.
    pub(crate) resume: Option<String>,
}

/// Finds up to `limit` files after a path. Ends early, without an error, when `stop` is cancelled.
pub(crate) fn search(
    root: &Path,
    config: &Config,
    query: &Query,
    after: &str,
    limit: usize,
    stop: &CancellationToken,
) -> io::Result<Outcome> {
    let top = match Dir::open_ambient_dir(root, ambient_authority()) {
        // Another service makes the folder, perhaps later.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Outcome::default()),
        opened => opened?,
    };
    let (entries_left, bytes_left) = (config.entries_max, config.content_bytes_max);
    let (last, outcome) = (None, Outcome::default());
    let mut walk = Walk { config, query, after, limit, stop, entries_left, bytes_left, last, outcome };
    let _ended = walk.folder(&top, "", DEPTH_MAX)?;
    Ok(walk.outcome)
}

struct Walk<'a> {
    config: &'a Config,
    query: &'a Query,
    after: &'a str,
    limit: usize,
    stop: &'a CancellationToken,
    entries_left: u64,
    bytes_left: u64,
    /// The last path looked at.
    last: Option<String>,
    outcome: Outcome,
}

impl Walk<'_> {
    /// Walks what is below `prefix`, which is empty or ends with '/'. Breaks when the walk is over.
    fn folder(&mut self, dir: &Dir, prefix: &str, depth_left: usize) -> io::Result<ControlFlow<()>> {
        let Some(names) = self.names(dir)? else { return Ok(Break(())) };
        for name in names {
            if self.stop.is_cancelled() {
                return Ok(Break(()));
            }
            let path = format!("{prefix}{name}");
            let next = match name.strip_suffix('/') {
                None if path.as_str() > self.after => self.file(dir, &name, path),
                Some(name) if depth_left > 1 && (path.as_str() > self.after || self.after.starts_with(&path)) => {
                    dir.open_dir(name).and_then(|dir| self.folder(&dir, &path, depth_left - 1))
                }
                _ => continue,
            };
            match next {
                Ok(Continue(())) => {}
                Ok(Break(())) => return Ok(Break(())),
                // Gone since it was listed, or not ours to read: as if it were not there.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Continue(()))
    }

    /// The names of files and, with a '/' at the end, of folders: ordered so, they are in the order of their paths.
    /// `None` when there are more than may be looked at.
    fn names(&mut self, dir: &Dir) -> io::Result<Option<Vec<String>>> {
        let mut names = Vec::new();
        for entry in dir.entries()? {
            if self.entries_left == 0 {
                self.give_up();
                return Ok(None);
            }
            self.entries_left -= 1;
            let entry = entry?;
            let kind = entry.file_type()?;
            let Ok(mut name) = entry.file_name().into_string() else { continue };
            if name.starts_with(&self.config.hidden_prefix) || !(kind.is_file() || kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                name.push('/');
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    fn file(&mut self, dir: &Dir, name: &str, path: String) -> io::Result<ControlFlow<()>> {
        if self.query.fits_name(name) {
            let size_bytes = dir.symlink_metadata(name)?.len();
            let line = if self.query.finder().is_none() {
                Some(0)
            } else if size_bytes > self.config.file_bytes_max {
                self.outcome.incomplete = true;
                None
            } else if size_bytes > self.bytes_left {
                self.give_up();
                return Ok(Break(()));
            } else {
                self.line(dir, name, size_bytes)?
            };
            if let Some(line) = line {
                self.outcome.found.push(Found { path: path.clone(), size_bytes, line });
            }
        }
        self.last = Some(path);
        Ok(if self.outcome.found.len() < self.limit { Continue(()) } else { Break(()) })
    }

    /// Notes that a limit ends the walk.
    fn give_up(&mut self) {
        self.outcome.incomplete = true;
        self.outcome.resume = self.last.take();
    }

    /// The first line with the content; reads `size_bytes` at most, however the file grows meanwhile.
    fn line(&mut self, dir: &Dir, name: &str, size_bytes: u64) -> io::Result<Option<i32>> {
        let Some(mut finder) = self.query.finder() else { return Ok(None) };
        let mut file = dir.open(name)?.take(size_bytes);
        let mut piece = vec![0; CHUNK_BYTES];
        while !self.stop.is_cancelled() {
            let read = file.read(&mut piece)?;
            self.bytes_left -= read as u64;
            let found = finder.feed(&piece[..read]);
            if read == 0 || found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
pub(crate) mod tests;
