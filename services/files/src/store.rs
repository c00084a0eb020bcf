//! The folder on disk. Every call here may block.
//!
//! All access goes through one open directory that cap-std keeps from being left, and no link inside it is followed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use crate::config::Config;
use crate::dir::{Usage, enter, look, names, same, sweep, sync};
use crate::error::Error;
use crate::rules::{FilePath, HIDDEN_PREFIX};

/// What a folder made by the first start holds.
const SAMPLE: [(&str, &str); 4] = [
    ("bienvenida.txt", include_str!("../sample/bienvenida.txt")),
    ("cities.csv", include_str!("../sample/cities.csv")),
    ("notes/search.md", include_str!("../sample/notes/search.md")),
    ("welcome.txt", include_str!("../sample/welcome.txt")),
];

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) folder: bool,
    /// 0 for a folder.
    pub(crate) size_bytes: u64,
    pub(crate) modify_time: SystemTime,
}

impl Entry {
    fn new(path: String, found: &Metadata) -> io::Result<Self> {
        let size_bytes = if found.is_dir() { 0 } else { found.len() };
        Ok(Self { path, folder: found.is_dir(), size_bytes, modify_time: found.modified()?.into_std() })
    }
}

/// The folder served.
#[derive(Debug)]
pub(crate) struct Folder {
    top: Dir,
    folder_bytes_max: u64,
    files_max: u64,
    /// Held while entries come or go, so that two uploads cannot both take the last place.
    changing: Mutex<()>,
}

impl Folder {
    /// Opens the folder and removes what uploads left that a crash ended. A folder that is not there is made and
    /// gets the sample.
    pub(crate) fn open(root: &Path, config: &Config) -> io::Result<Self> {
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent)?;
        }
        let made = match fs::create_dir(root) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        let top = Dir::open_ambient_dir(root, ambient_authority())?;
        if made {
            for (path, text) in SAMPLE {
                if let Some((folder, _)) = path.rsplit_once('/') {
                    top.create_dir_all(folder)?;
                }
                top.write(path, text)?;
            }
        }
        sweep(&top)?;
        let (folder_bytes_max, files_max) = (config.folder_bytes_max, config.files_max);
        Ok(Self { top, folder_bytes_max, files_max, changing: Mutex::new(()) })
    }

    /// Whether the folder can still be read.
    pub(crate) fn answers(&self) -> bool {
        self.top.entries().is_ok()
    }

    /// Up to `limit` names in a folder after the given one, ordered. Entries that no path can name, links and
    /// special files are left out.
    pub(crate) fn names(&self, folder: &FilePath, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        names(&self.folder(folder)?, after, limit)
    }

    /// As [`names`](Self::names), with what is known of each entry.
    pub(crate) fn list(&self, folder: &FilePath, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, Error> {
        let dir = self.folder(folder)?;
        let mut entries = Vec::new();
        for name in names(&dir, after, limit)? {
            match dir.symlink_metadata(&name) {
                Ok(found) => entries.push(Entry::new(folder.join(&name), &found)?),
                Err(error) if error.kind() == ErrorKind::NotFound => {} // Gone since it was listed.
                Err(error) => return Err(error.into()),
            }
        }
        Ok(entries)
    }

    /// What is known of one entry.
    pub(crate) fn stat(&self, path: &FilePath) -> Result<Entry, Error> {
        let (_, _, found) = self.find(path)?;
        Ok(Entry::new(path.as_str().to_owned(), &found)?)
    }

    /// Opens a file for reading. What is read is that file to its end, even if it is replaced or removed meanwhile.
    pub(crate) fn read(&self, path: &FilePath) -> Result<fs::File, Error> {
        let (dir, name, found) = self.find(path)?;
        if found.is_dir() {
            return Err(Error::IsFolder(path.as_str().to_owned()));
        }
        let file = dir.open(name)?;
        same(&found, &file.metadata()?, path)?;
        Ok(file.into_std())
    }

    /// Removes a file or an empty folder.
    pub(crate) fn delete(&self, path: &FilePath) -> Result<(), Error> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (dir, name, found) = self.find(path)?;
        if found.is_dir() {
            dir.remove_dir(name).map_err(|error| match error.kind() {
                ErrorKind::DirectoryNotEmpty => Error::NotEmpty(path.as_str().to_owned()),
                _ => error.into(),
            })?;
        } else {
            dir.remove_file(name)?;
        }
        Ok(sync(&dir)?)
    }

    /// Makes a new hidden file in the top folder.
    pub(crate) fn create_hidden(&self, name: &str) -> Result<fs::File, Error> {
        debug_assert!(name.starts_with(HIDDEN_PREFIX));
        let file = self.top.open_with(name, OpenOptions::new().write(true).create_new(true))?.into_std();
        // Tells a sweep, also another process's, that somebody is at it.
        file.try_lock().map_err(io::Error::from)?;
        Ok(file)
    }

    /// Removes a hidden file, if it is still there.
    pub(crate) fn remove_hidden(&self, name: &str) {
        // What cannot be removed now is swept at the next start.
        let _ = self.top.remove_file(name);
    }

    /// Gives a hidden file, which is on disk, its name, and makes the folders on the way to it.
    pub(crate) fn reveal(&self, hidden: &str, size_bytes: u64, path: &FilePath) -> Result<Entry, Error> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, name) = path.split();
        let mut parts = folder.parts().peekable();
        let mut dir = self.top.try_clone()?;
        while let Some(part) = parts.peek()
            && let Some(found) = look(&dir, part, path)?
        {
            dir = enter(&dir, part, &found, path)?;
            parts.next();
        }
        let missing: Vec<&str> = parts.collect();
        let replaced = if missing.is_empty() { look(&dir, name, path)? } else { None };
        if replaced.as_ref().is_some_and(Metadata::is_dir) {
            return Err(Error::IsFolder(path.as_str().to_owned()));
        }
        let mut usage = Usage::of(&self.top, self.files_max)?;
        usage.files += missing.len() as u64 + u64::from(replaced.is_none());
        usage.bytes = (usage.bytes + size_bytes).saturating_sub(replaced.map_or(0, |file| file.len()));
        if usage.files > self.files_max {
            return Err(Error::TooManyFiles(self.files_max));
        }
        if usage.bytes > self.folder_bytes_max {
            return Err(Error::FolderFull(self.folder_bytes_max));
        }
        for part in missing {
            dir.create_dir(part)?;
            sync(&dir)?;
            dir = dir.open_dir(part)?;
        }
        self.top.rename(hidden, &dir, name)?;
        sync(&dir)?;
        Ok(Entry::new(path.as_str().to_owned(), &dir.symlink_metadata(name)?)?)
    }

    /// The folder of an entry, its name there, and what it is.
    fn find<'a>(&self, path: &'a FilePath) -> Result<(Dir, &'a str, Metadata), Error> {
        let missing = || Error::NotFound(path.as_str().to_owned());
        let (folder, name) = path.split();
        let dir = match self.folder(&folder) {
            Err(Error::NotFound(_)) => return Err(missing()),
            found => found?,
        };
        let found = look(&dir, name, path)?.ok_or_else(missing)?;
        Ok((dir, name, found))
    }

    fn folder(&self, path: &FilePath) -> Result<Dir, Error> {
        let mut dir = self.top.try_clone()?;
        for part in path.parts() {
            dir = match look(&dir, part, path)? {
                Some(found) if found.is_dir() => enter(&dir, part, &found, path)?,
                _ => return Err(Error::NotFound(path.as_str().to_owned())),
            };
        }
        Ok(dir)
    }
}

/// Runs work that blocks where it holds up no other call.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
pub(crate) mod tests;
