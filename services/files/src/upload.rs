//! A file on its way in: hidden until all of it is on disk.

use std::sync::Arc;

use malla_runtime::places::Place;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use crate::error::Error;
use crate::rules::{FilePath, HIDDEN_PREFIX};
use crate::store::{Entry, Folder, blocking};

/// An upload; dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    hidden: Hidden,
    file: File,
    size_bytes: u64,
    file_bytes_max: u64,
    _place: Place,
}

/// A hidden file that is removed when dropped, unless it has got another name.
#[derive(Debug)]
struct Hidden {
    folder: Arc<Folder>,
    name: String,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.folder.remove_hidden(&self.name);
    }
}

impl Upload {
    pub(crate) async fn begin(folder: Arc<Folder>, file_bytes_max: u64, place: Place) -> Result<Self, Error> {
        let hidden = Hidden { folder, name: format!("{HIDDEN_PREFIX}{}", Uuid::new_v4()) };
        let (hidden, file) = blocking(move || {
            let file = hidden.folder.create_hidden(&hidden.name)?;
            Ok((hidden, file))
        })
        .await?;
        Ok(Self { hidden, file: File::from_std(file), size_bytes: 0, file_bytes_max, _place: place })
    }

    /// Appends a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.size_bytes += piece.len() as u64;
        if self.size_bytes > self.file_bytes_max {
            return Err(Error::FileTooLarge(self.file_bytes_max));
        }
        Ok(self.file.write_all(piece).await?)
    }

    /// Puts the file on disk and then under its name. Once begun, this is done to the end even if the caller leaves.
    pub(crate) async fn finish(mut self, path: FilePath) -> Result<Entry, Error> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        blocking(move || self.hidden.folder.reveal(&self.hidden.name, self.size_bytes, &path)).await
    }
}

#[cfg(test)]
mod tests;
