//! Settings of a process: defaults, then `malla.toml`, then `MALLA_<SECTION>__<KEY>`, then the command line.
//!
//! Every crate owns a `Config` for its section; this module only finds and merges the values. Unknown keys fail.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ::config::{Environment, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A setting that cannot be used: which key, what it was, what it may be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the wrong type, an unknown key, or a file that cannot be read.
    #[error("{key}: {reason}")]
    Read {
        /// The full key, or the file's path.
        key: String,
        /// What it was and what it may be, in one line.
        reason: String,
    },
    /// A section nobody knows.
    #[error("unknown section or key {name:?}; known are: {known}")]
    Unknown {
        /// The name found.
        name: String,
        /// What it may be.
        known: String,
    },
    /// A value that is needed and not there.
    #[error("not set: {key}; {expected}")]
    Missing {
        /// The full key.
        key: String,
        /// Why it is needed and what it may be.
        expected: String,
    },
    /// A value of the right type that cannot be used.
    #[error("{key}: {value:?} cannot be used; {expected}")]
    Invalid {
        /// The full key: `edge.listen`.
        key: String,
        /// What it was.
        value: String,
        /// What it may be.
        expected: String,
    },
}

impl Error {
    fn read(key: impl Into<String>, reason: impl ToString) -> Self {
        let reason = reason.to_string();
        Self::Read { key: key.into(), reason: reason.split_whitespace().collect::<Vec<_>>().join(" ") }
    }

    /// A value that is needed and not there.
    pub fn missing(key: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Missing { key: key.into(), expected: expected.into() }
    }

    /// A value that cannot be used.
    pub fn invalid(key: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Invalid { key: key.into(), value: value.to_string(), expected: expected.into() }
    }
}

/// The merged settings of a process.
#[derive(Clone, Debug)]
pub struct Settings(::config::Config);

impl Settings {
    /// Merges the sources. `defaults` is the program's own TOML, below all others. `file` must exist; without one,
    /// `malla.toml` in the working directory is read if it is there. `overrides` are dotted keys from the command
    /// line.
    ///
    /// # Errors
    /// [`Error::Read`] when the file cannot be read or is no TOML.
    pub fn load(defaults: &str, file: Option<&Path>, overrides: &[(String, String)]) -> Result<Self, Error> {
        let path = file.map_or_else(|| PathBuf::from("malla.toml"), Path::to_path_buf);
        let read = |reason: ::config::ConfigError| Error::read(path.display().to_string(), reason);
        let mut builder = ::config::Config::builder()
            .add_source(File::from_str(defaults, FileFormat::Toml))
            .add_source(File::from(path.as_path()).format(FileFormat::Toml).required(file.is_some()))
            .add_source(Environment::with_prefix("MALLA").prefix_separator("_").separator("__"));
        for (key, value) in overrides {
            builder = builder.set_override(key, value.as_str()).map_err(read)?;
        }
        builder.build().map(Self).map_err(read)
    }

    /// Reads one section; what is not set has the section's default.
    ///
    /// # Errors
    /// [`Error::Read`] naming key and origin of the first value that does not fit; [`Error::Invalid`] for a fraction.
    pub fn section<T: Default + DeserializeOwned>(&self, section: &str) -> Result<T, Error> {
        let value = match self.0.get::<Value>(section) {
            Ok(value) => value,
            Err(::config::ConfigError::NotFound(_)) => return Ok(T::default()),
            Err(reason) => return Err(Error::read(section, reason)),
        };
        refuse_fractions(section, &value)?;
        serde_path_to_error::deserialize(value).map_err(|error| {
            let key = match error.path().to_string() {
                path if path == "." => section.to_owned(),
                path => format!("{section}.{path}"),
            };
            Error::read(key, self.variants::<T>(section).unwrap_or_else(|| error.inner().to_string()))
        })
    }

    /// What serde's own reader says of a word that is none of an enum's: unlike the settings' reader it lists them.
    fn variants<T: DeserializeOwned>(&self, section: &str) -> Option<String> {
        let error = serde_json::from_value::<T>(self.0.get(section).ok()?).err()?.to_string();
        error.contains("unknown variant").then_some(error)
    }

    /// Refuses sections and top-level keys that are not in `known`.
    ///
    /// # Errors
    /// [`Error::Unknown`] for the first one.
    pub fn refuse_unknown(&self, known: &[&str]) -> Result<(), Error> {
        let found = self.0.cache.clone().into_table().unwrap_or_default();
        match found.into_keys().filter(|name| !known.contains(&name.as_str())).min() {
            None => Ok(()),
            Some(name) => Err(Error::Unknown { name, known: known.join(", ") }),
        }
    }
}

/// The reader would round them, and no setting is one.
fn refuse_fractions(key: &str, value: &Value) -> Result<(), Error> {
    let ValueKind::Table(table) = &value.kind else { return Ok(()) };
    table.iter().try_for_each(|(name, value)| match value.kind {
        ValueKind::Float(number) => Err(Error::invalid(format!("{key}.{name}"), number, "it may be a whole number")),
        _ => refuse_fractions(&format!("{key}.{name}"), value),
    })
}

/// Checks that the numbers of a section are in their ranges.
///
/// # Errors
/// [`Error::Invalid`] for the first that is not.
pub fn check_ranges<T: PartialOrd + fmt::Display>(
    section: &str,
    values: impl IntoIterator<Item = (&'static str, T, RangeInclusive<T>)>,
) -> Result<(), Error> {
    for (key, value, range) in values {
        if !range.contains(&value) {
            let expected = format!("it may be {} to {}", range.start(), range.end());
            return Err(Error::invalid(format!("{section}.{key}"), value, expected));
        }
    }
    Ok(())
}

/// A value that is never printed: not by `Debug`, not by `malla config`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that uses it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_empty() { "" } else { "***" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "***" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests;
