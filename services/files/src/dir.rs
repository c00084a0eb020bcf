//! Steps in an open directory that do not follow links.
//!
//! Each part of a path is looked at, then opened, and the two must be the same file: opening follows links, looking
//! does not, so that a link put in between is seen too.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

use cap_std::fs::{Dir, Metadata, MetadataExt as _};

use crate::error::Error;
use crate::rules::{DEPTH_MAX, FilePath, HIDDEN_PREFIX, nameable};

/// How full the folder is.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Files and folders.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Usage {
    /// Counted anew each time: others may change the folder too. Counts no further than one above `files_max`.
    pub(crate) fn of(top: &Dir, files_max: u64) -> io::Result<Self> {
        let mut usage = Self::default();
        usage.add(top, files_max, DEPTH_MAX)?;
        Ok(usage)
    }

    fn add(&mut self, dir: &Dir, files_max: u64, depth: usize) -> io::Result<()> {
        for entry in dir.entries()? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(HIDDEN_PREFIX.as_bytes()) {
                continue;
            }
            self.files += 1;
            if self.files > files_max {
                return Ok(());
            }
            let kind = entry.file_type()?;
            if kind.is_dir() && depth > 0 {
                self.add(&entry.open_dir()?, files_max, depth - 1)?;
            } else if kind.is_file() {
                self.bytes += entry.metadata()?.len();
            }
        }
        Ok(())
    }
}

/// What a name stands for, without following it; `None` when there is no such entry.
pub(crate) fn look(dir: &Dir, name: &str, path: &FilePath) -> Result<Option<Metadata>, Error> {
    match dir.symlink_metadata(name) {
        Ok(found) if found.is_dir() || found.is_file() => Ok(Some(found)),
        Ok(_) => Err(Error::Special(path.as_str().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder that was looked at.
pub(crate) fn enter(dir: &Dir, name: &str, found: &Metadata, path: &FilePath) -> Result<Dir, Error> {
    if !found.is_dir() {
        return Err(Error::ThroughFile(path.as_str().to_owned()));
    }
    let opened = dir.open_dir(name)?;
    same(found, &opened.dir_metadata()?, path)?;
    Ok(opened)
}

/// Refuses what is not the file that was looked at.
pub(crate) fn same(looked_at: &Metadata, opened: &Metadata, path: &FilePath) -> Result<(), Error> {
    if (looked_at.dev(), looked_at.ino()) == (opened.dev(), opened.ino()) {
        Ok(())
    } else {
        Err(Error::Special(path.as_str().to_owned()))
    }
}

/// Up to `limit` names after the given one, ordered; without what no path can name, links and special files.
pub(crate) fn names(dir: &Dir, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
    // Never holds more than `limit`, however many there are.
    let mut names = BTreeSet::new();
    for entry in dir.entries()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if nameable(&name) && (kind.is_file() || kind.is_dir()) && after.is_none_or(|after| name.as_str() > after) {
            names.insert(name);
            if names.len() > limit {
                names.pop_last();
            }
        }
    }
    Ok(names.into_iter().collect())
}

/// Removes hidden files nobody is writing.
pub(crate) fn sweep(top: &Dir) -> io::Result<()> {
    for entry in top.entries()? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(HIDDEN_PREFIX.as_bytes()) && entry.file_type()?.is_file() {
            // Locked: another process's upload. Gone: another process's sweep.
            let _ = entry.open().and_then(|file| Ok(file.into_std().try_lock()?)).and_then(|()| entry.remove_file());
        }
    }
    Ok(())
}

/// Puts the names in a folder on disk. Its own handle cannot be synced: it is open for lookups only.
pub(crate) fn sync(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.sync_all()
}
