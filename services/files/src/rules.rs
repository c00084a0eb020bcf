//! Which paths clients may name, and what media type a name stands for. Pure.

use malla_runtime::status::Invalid;

/// Names that begin so are uploads on their way: never listed, and no client can name them.
pub(crate) const HIDDEN_PREFIX: &str = ".malla-upload-";
/// What common file systems allow.
const PART_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 1_024;
pub(crate) const DEPTH_MAX: usize = 32;

const EXPECTED: &str = "must be a path below the folder: parts joined by '/', none of them empty, '.', '..', reserved \
     or over 255 bytes, without control characters and backslashes; at most 32 parts and 1024 bytes";

/// A path that can only lead to something below the folder, or to the folder itself when empty. What it leads
/// through (symbolic links) is for the store to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePath(String);

impl FilePath {
    /// Reads the path of an entry.
    pub(crate) fn entry(text: &str) -> Result<Self, Invalid> {
        if text.len() > PATH_BYTES_MAX || text.split('/').count() > DEPTH_MAX || !text.split('/').all(nameable) {
            return Err(Invalid { field: "path", description: EXPECTED.into() });
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads the path of a folder; empty is the top one.
    pub(crate) fn folder(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Ok(Self(String::new()));
        }
        Self::entry(text).map_err(|invalid| Invalid { field: "folder", ..invalid })
    }

    /// The path of an entry of this folder.
    pub(crate) fn join(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{}/{name}", self.0) }
    }

    /// The folders it leads through and the last name.
    pub(crate) fn split(&self) -> (Self, &str) {
        let (folders, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        (Self(folders.to_owned()), name)
    }

    /// Its parts, outermost first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name can be a part of a path.
pub(crate) fn nameable(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= PART_BYTES_MAX
        && !name.contains(|character: char| character.is_control() || matches!(character, '/' | '\\'))
        && !name.starts_with(HIDDEN_PREFIX)
}

/// The media type of a name's extension, any case.
///
/// What a browser would run (HTML, SVG, XML with a style sheet, scripts) is plain text: anyone with an account can
/// upload, and a page or script from this origin could act as its reader.
pub(crate) fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "txt" | "log" | "toml" | "yaml" | "yml" | "rs" | "proto" => "text/plain; charset=utf-8",
        "html" | "htm" | "xhtml" | "svg" | "xml" | "xsl" | "js" | "mjs" | "css" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
