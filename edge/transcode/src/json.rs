//! Between ProtoJSON and protobuf's wire format, in one pass either way and without a message in between.

mod decode;
mod encode;
mod lex;
mod locate;
#[cfg(test)]
mod tests;

pub(crate) use decode::Alias;
pub use decode::{Bound, DecodeOptions, Decoder};
pub use encode::{Defaults, EncodeError, EncodeOptions, Encoder};

/// Appends a string in its quotes.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    encode::put_string(text.as_bytes(), out);
}
