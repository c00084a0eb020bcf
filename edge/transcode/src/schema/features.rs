//! What a file's syntax or edition means for the fields in it (`FeatureSet` of descriptor.proto).

use crate::descriptor::{FeatureSet, FileDescriptorProto};

/// The features in force at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) presence: Presence,
    pub(super) closed_enum: bool,
    pub(super) packed: bool,
    pub(super) utf8: bool,
    pub(super) delimited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Explicit,
    Implicit,
    Required,
}

const PROTO2: Features =
    Features { presence: Presence::Explicit, closed_enum: true, packed: false, utf8: false, delimited: false };
const PROTO3: Features =
    Features { presence: Presence::Implicit, closed_enum: false, packed: true, utf8: true, delimited: false };
/// 2024 changed nothing of these.
const EDITION_2023: Features = Features { presence: Presence::Explicit, ..PROTO3 };

impl Features {
    /// Those a file starts with; what is unknown as an error.
    pub(super) fn of_file(file: &FileDescriptorProto) -> Result<Self, String> {
        let start = match (file.syntax.as_str(), file.edition) {
            ("" | "proto2", 0) | (_, 998) => PROTO2,
            ("proto3", 0) | (_, 999) => PROTO3,
            (_, 1000 | 1001) => EDITION_2023,
            (syntax, 0) => return Err(format!("syntax \"{syntax}\"")),
            (_, edition) => return Err(format!("edition number {edition}")),
        };
        Ok(start.with(file.options.as_ref().and_then(|options| options.features.as_ref())))
    }

    /// These, changed by what one declaration says of its own.
    pub(super) fn with(mut self, own: Option<&FeatureSet>) -> Self {
        let Some(own) = own else { return self };
        match own.field_presence {
            Some(1) => self.presence = Presence::Explicit,
            Some(2) => self.presence = Presence::Implicit,
            Some(3) => self.presence = Presence::Required,
            _ => {}
        }
        let set = |feature: &mut bool, value: Option<i32>, on: i32| {
            if let Some(value) = value.filter(|value| *value != 0) {
                *feature = value == on;
            }
        };
        set(&mut self.closed_enum, own.enum_type, 2);
        set(&mut self.packed, own.repeated_field_encoding, 1);
        set(&mut self.utf8, own.utf8_validation, 2);
        set(&mut self.delimited, own.message_encoding, 2);
        self
    }
}
