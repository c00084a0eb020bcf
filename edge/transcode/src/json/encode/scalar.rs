//! Scalars and enums.

use super::{Run, Stop};
use crate::base64;
use crate::json::lex::{plain_length, plain_words};
use crate::schema::{Field, Kind};
use crate::wire::{FIXED32, FIXED64, Integer, Wire};

impl<'a> Run<'a, '_> {
    /// One value; `false` for a number that a closed enum does not have.
    #[inline]
    pub(super) fn scalar(&mut self, field: &'a Field, wire: &mut Wire<'_>) -> Result<bool, Stop> {
        match field.kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => {
                self.integer(wire.integer(field.kind)?);
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
                let value = wire.integer(field.kind)?;
                self.quoted_unless_numbers(|run| run.integer(value));
            }
            Kind::Double => self.double(f64::from_bits(wire.fixed64()?)),
            Kind::Float => self.float(f32::from_bits(wire.fixed32()?)),
            Kind::Bool => {
                let text: &[u8] = if wire.varint()? == 0 { b"false" } else { b"true" };
                self.out.extend_from_slice(text);
            }
            Kind::String => {
                if !put_string(wire.slice()?, self.out) {
                    return Err(Stop::Utf8(field.name.clone()));
                }
            }
            Kind::Bytes => {
                self.out.push(b'"');
                base64::encode(wire.slice()?, self.out);
                self.out.push(b'"');
            }
            Kind::Enum(id) => {
                let values = &self.schema[id];
                let number = wire.varint()? as i32;
                match values.value(number) {
                    Some(_) if values.null_value => self.out.extend_from_slice(b"null"),
                    Some(value) if !self.options.enum_numbers => drop(put_string(value.name.as_bytes(), self.out)),
                    None if values.closed => return Ok(false),
                    _ => self.signed(i64::from(number)),
                }
            }
            Kind::Message(_) => return Err(Stop::Malformed),
        }
        Ok(true)
    }

    #[inline]
    pub(super) fn integer(&mut self, value: Integer) {
        match value {
            Integer::Signed(value) => self.signed(value),
            Integer::Unsigned(value) => self.unsigned(value),
        }
    }

    fn signed(&mut self, value: i64) {
        if value < 0 {
            self.out.push(b'-');
        }
        self.unsigned(value.unsigned_abs());
    }

    /// Two digits at a time, from the end.
    fn unsigned(&mut self, mut value: u64) {
        const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940\
            41424344454647484950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495\
            96979899";
        let mut digits = [0; 20];
        let mut at = digits.len();
        while value >= 10 {
            let pair = (value % 100) as usize * 2;
            value /= 100;
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
            if value == 0 {
                return self.out.extend_from_slice(&digits[at..]);
            }
        }
        at -= 1;
        digits[at] = b'0' + value as u8;
        self.out.extend_from_slice(&digits[at..]);
    }

    #[inline]
    fn quoted_unless_numbers(&mut self, put: impl FnOnce(&mut Self)) {
        if self.options.int64_numbers {
            return put(self);
        }
        self.out.push(b'"');
        put(self);
        self.out.push(b'"');
    }

    pub(super) fn double(&mut self, value: f64) {
        self.number(value, |out| serde_json::to_writer(out, &value));
    }

    fn float(&mut self, value: f32) {
        self.number(f64::from(value), |out| serde_json::to_writer(out, &value));
    }

    /// The shortest text that is read back as the same value; whole numbers without a fraction.
    fn number(&mut self, value: f64, put: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) {
        /// Up to it every whole number is exact.
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
        if value.is_nan() {
            self.out.extend_from_slice(b"\"NaN\"");
        } else if value.is_infinite() {
            self.out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
        } else if value.abs() <= WHOLE_MAX && value.trunc() == value {
            if value.is_sign_negative() {
                self.out.push(b'-');
            }
            self.unsigned(value.abs() as u64);
        } else {
            put(self.out).expect("writing to memory does not fail");
        }
    }
}

/// Whether a value is zero, or nothing after a length. A varint may be longer than it need be, and than its kind is.
#[inline]
pub(super) fn is_zero(kind: Kind, wire_type: u8, payload: &[u8]) -> bool {
    if matches!(wire_type, FIXED32 | FIXED64) {
        return payload.iter().all(|byte| *byte == 0);
    }
    Wire::new(payload).varint().is_ok_and(|value| match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_) => value as u32 == 0,
        _ => value == 0,
    })
}

/// Appends a string in its quotes; `false` if it is not UTF-8.
#[inline]
pub(in crate::json) fn put_string(text: &[u8], out: &mut Vec<u8>) -> bool {
    if plain_words::<true>(text) == text.len() {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        return true;
    }
    if std::str::from_utf8(text).is_err() {
        return false;
    }
    out.push(b'"');
    let mut rest = text;
    loop {
        let plain = plain_length(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(byte) = rest.get(plain) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(*control)]);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
    true
}
