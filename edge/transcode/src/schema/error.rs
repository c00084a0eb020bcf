//! Why descriptors make no schema.

/// What is wrong with descriptors; a fault of whoever made them, never of a request.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The bytes are no `FileDescriptorSet`.
    #[error("descriptor set {set} (counted from 0) cannot be read: {cause}")]
    Unreadable {
        /// Which one.
        set: usize,
        /// Why not.
        cause: prost::DecodeError,
    },
    /// Two sets declare different things in a file of the same name.
    #[error("{file} differs between descriptor sets; build them from the same protos")]
    FilesDiffer {
        /// The file.
        file: String,
    },
    /// Two files declare the same name.
    #[error("{file}: {name} is declared twice")]
    Duplicate {
        /// The file of the second.
        file: String,
        /// The name.
        name: String,
    },
    /// A type that no file declares; a set must hold what its files import.
    #[error("{file}: {name} refers to {target}, which is not declared as {expected} (are imports included?)")]
    Unresolved {
        /// The file.
        file: String,
        /// Who refers.
        name: String,
        /// To what.
        target: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The file is of an edition that this version does not know.
    #[error("{file}: {found} is not known; use proto2, proto3, edition 2023 or 2024")]
    Edition {
        /// The file.
        file: String,
        /// Its syntax or edition.
        found: String,
    },
    /// A descriptor that no compiler makes.
    #[error("{file}: {name}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// Whose.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
}
