//! The files of a set of descriptors, each as the bytes it came in: decoded and encoded again they would lose the options
//! that nobody here knows, HTTP rules above all.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;

use super::ReadError;

#[cfg(test)]
mod tests;

/// Most files of one set.
const FILES_MAX: usize = 10_000;

/// `google.protobuf.FileDescriptorSet`, its files undecoded.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) file: Vec<Bytes>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    imports: Vec<String>,
    services: Vec<String>,
}

/// Files by name, under a limit.
#[derive(Debug)]
pub(super) struct Files {
    files: BTreeMap<String, File>,
    bytes: usize,
    bytes_max: usize,
}

impl Files {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { files: BTreeMap::new(), bytes: 0, bytes_max }
    }

    /// Adds a file; the first of a name stays.
    pub(super) fn add(&mut self, bytes: Bytes) -> Result<(), ReadError> {
        let file = FileDescriptorProto::decode(bytes.clone())?;
        let package = file.package().to_owned();
        let full = |name: &str| if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") };
        let services = file.service.iter().map(|service| full(service.name())).collect();
        if self.files.contains_key(file.name()) {
            return Ok(());
        }
        self.bytes += bytes.len();
        if self.bytes > self.bytes_max {
            return Err(ReadError::TooLarge(self.bytes_max));
        }
        if self.files.len() == FILES_MAX {
            return Err(ReadError::TooMany(FILES_MAX));
        }
        self.files.insert(file.name().to_owned(), File { bytes, imports: file.dependency, services });
        Ok(())
    }

    /// Adds the files of an encoded set.
    pub(super) fn add_set(&mut self, set: Bytes) -> Result<(), ReadError> {
        if set.len() > self.bytes_max {
            return Err(ReadError::TooLarge(self.bytes_max));
        }
        Set::decode(set)?.file.into_iter().try_for_each(|file| self.add(file))
    }

    /// Adds a file that everybody has, if it is one: `google/protobuf/*.proto`.
    pub(super) fn add_well_known(&mut self, name: &str) -> Result<bool, ReadError> {
        match DescriptorPool::global().get_file_by_name(name) {
            Some(file) => self.add(file.encode_to_vec().into()).map(|()| true),
            None => Ok(false),
        }
    }

    /// A file that is imported and not here, and one that imports it.
    pub(super) fn missing(&self) -> Option<(String, String)> {
        self.files.iter().find_map(|(by, file)| {
            let import = file.imports.iter().find(|import| !self.files.contains_key(*import))?;
            Some((import.clone(), by.clone()))
        })
    }

    /// Adds what everybody has where it is missing.
    ///
    /// # Errors
    /// [`ReadError::Import`] for the first file that nobody has.
    pub(super) fn complete(&mut self) -> Result<(), ReadError> {
        while let Some((import, by)) = self.missing() {
            if !self.add_well_known(&import)? {
                return Err(ReadError::Import { import, by });
            }
        }
        Ok(())
    }

    /// Full names of all services.
    pub(super) fn services(&self) -> Vec<String> {
        self.files.values().flat_map(|file| &file.services).cloned().collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Whether a file here declares a service.
    pub(super) fn declare(&self, service: &str) -> bool {
        self.files.values().any(|file| file.services.iter().any(|known| known == service))
    }

    /// The set, in the order of names: the same files are the same bytes.
    pub(super) fn encode(&self) -> Bytes {
        Set { file: self.files.values().map(|file| file.bytes.clone()).collect() }.encode_to_vec().into()
    }
}
