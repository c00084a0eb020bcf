//! Section `[search]`.

use std::path::{Path, PathBuf};

use malla_runtime::config;
use serde::{Deserialize, Serialize};

/// Settings of the service; the default is the embedded one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder searched. One that does not exist holds nothing. Default: `files` in the data dir.
    pub root: PathBuf,
    /// Names that begin so are passed over: uploads of the files service on their way. Default `.malla-upload-`.
    pub hidden_prefix: String,
    /// Searches going on at the same time: 1 to 1000; more wait. Default 4.
    pub searches_max: usize,
    /// Entries one call looks at: 1 to 10000000. Default 100000.
    pub entries_max: u64,
    /// Bytes one call reads to compare content: 1 to 1099511627776 (1 TiB). Default 268435456 (256 MiB).
    pub content_bytes_max: u64,
    /// Larger files are passed over when content is compared; at most `content_bytes_max`. Default 67108864 (64 MiB).
    pub file_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            hidden_prefix: ".malla-upload-".to_owned(),
            searches_max: 4,
            entries_max: 100_000,
            content_bytes_max: 256 << 20,
            file_bytes_max: 64 << 20,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), config::Error> {
        let ranges = [
            ("searches_max", self.searches_max as u64, 1..=1_000),
            ("entries_max", self.entries_max, 1..=10_000_000),
            ("content_bytes_max", self.content_bytes_max, 1..=1 << 40),
        ];
        config::check_ranges("search", ranges)?;
        // A call could never get past a file it may look into but not read to the end.
        if self.file_bytes_max > self.content_bytes_max {
            let expected = format!("it may be at most search.content_bytes_max, {}", self.content_bytes_max);
            return Err(config::Error::invalid("search.file_bytes_max", self.file_bytes_max, expected));
        }
        if self.hidden_prefix.is_empty() {
            return Err(config::Error::invalid("search.hidden_prefix", "", "it may not be empty"));
        }
        Ok(())
    }

    /// The folder searched.
    pub(crate) fn root(&self, data_dir: &Path) -> PathBuf {
        if self.root.as_os_str().is_empty() { data_dir.join("files") } else { self.root.clone() }
    }
}
