//! Section `[files]`.

use std::path::{Path, PathBuf};

use malla_runtime::config;
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder served. It is made, with a few sample files, if it does not exist. Default: `files` in the data
    /// dir.
    pub root: PathBuf,
    /// Largest file that can be uploaded: 1 to 1099511627776 (1 TiB). Default 67108864 (64 MiB).
    pub file_bytes_max: u64,
    /// Uploads stop when the files together have this many bytes: 1 to 1125899906842624 (1 PiB). Default
    /// 1073741824 (1 GiB).
    pub folder_bytes_max: u64,
    /// Uploads stop when there are this many files and folders: 1 to 1000000. All are counted at each upload.
    /// Default 10000.
    pub files_max: u64,
    /// Uploads going on at the same time: 1 to 1000; more are refused. Default 8.
    pub uploads_max: usize,
    /// Those of one user: 1 to 1000. Default 4.
    pub uploads_per_user_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            file_bytes_max: 64 << 20,
            folder_bytes_max: 1 << 30,
            files_max: 10_000,
            uploads_max: 8,
            uploads_per_user_max: 4,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("file_bytes_max", self.file_bytes_max, 1..=1 << 40),
            ("folder_bytes_max", self.folder_bytes_max, 1..=1 << 50),
            ("files_max", self.files_max, 1..=1_000_000),
            ("uploads_max", self.uploads_max as u64, 1..=1_000),
            ("uploads_per_user_max", self.uploads_per_user_max as u64, 1..=1_000),
        ];
        config::check_ranges("files", ranges)
    }

    /// The folder served.
    pub(crate) fn root(&self, data_dir: &Path) -> PathBuf {
        if self.root.as_os_str().is_empty() { data_dir.join("files") } else { self.root.clone() }
    }
}
