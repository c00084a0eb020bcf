//! Between ProtoJSON and protobuf's wire format, in one pass either way and without a message in between.

mod decode;
mod encode;
mod lex;
mod locate;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::schema::{MessageId, Schema};

pub(crate) use decode::Alias;
pub use decode::{Bound, DecodeOptions, Decoder};
pub use encode::{Defaults, EncodeError, EncodeOptions, Encoder};

/// The message of an `Any`'s URL, such as `type.googleapis.com/pkg.Message`, and which schema has it: this one or one of
/// the others.
fn type_of<'a>(url: &[u8], schema: &'a Schema, others: &'a [Arc<Schema>]) -> Option<(&'a Schema, MessageId)> {
    let (_, name) = std::str::from_utf8(url).ok()?.rsplit_once('/')?;
    let mut schemas = std::iter::once(schema).chain(others.iter().map(|schema| &**schema));
    schemas.find_map(|schema| Some((schema, schema.find_message(name)?)))
}

/// Appends a string in its quotes.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    encode::put_string(text.as_bytes(), out);
}
