//! The defaults that proto2 declares.

use super::{Run, Stop};
use crate::schema::{Field, Kind};
use crate::text;
use crate::wire::{self, Wire};

impl<'a> Run<'a, '_> {
    /// The default that proto2 may declare.
    pub(super) fn declared_default(&mut self, field: &'a Field) -> Result<(), Stop> {
        let mut value = Vec::new();
        match (field.kind, field.default.as_deref()) {
            (Kind::Message(_), _) => {
                self.out.extend_from_slice(b"null");
                return Ok(());
            }
            (Kind::Enum(id), None) => {
                let first = self.schema[id].values.first().map_or(0, |first| first.number);
                wire::put_varint(&mut value, i64::from(first) as u64);
            }
            (_, None) => value.extend([0; 8]),
            (Kind::Bytes, Some(declared)) => wire::put_bytes(&mut value, &unescape(declared)),
            (kind, Some(declared)) => {
                let spelled = match (kind, declared) {
                    (Kind::Float | Kind::Double, "inf") => "Infinity",
                    (Kind::Float | Kind::Double, "-inf") => "-Infinity",
                    (Kind::Float | Kind::Double, "nan") => "NaN",
                    _ => declared,
                };
                text::put(self.schema, kind, spelled, false, &mut value).map_err(|_| Stop::Malformed)?;
            }
        }
        self.single(field, &mut Wire::new(&value)).map(drop)
    }
}

/// The bytes that a C string literal without its quotes is: so descriptors spell the defaults of `bytes`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        let (byte, after) = match rest {
            [] => return bytes,
            [b'\\', b'x' | b'X', digits @ ..] => number(digits, 2, 16),
            [b'\\', b'0'..=b'7', ..] => number(&rest[1..], 3, 8),
            [b'\\', letter, after @ ..] => (control(*letter), after),
            [byte, after @ ..] => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
}

/// What at most that many digits at the front come to, and what is behind them.
fn number(text: &[u8], digits_max: usize, radix: u32) -> (u8, &[u8]) {
    let digits = text.iter().take(digits_max).map_while(|byte| char::from(*byte).to_digit(radix));
    let value = digits.clone().fold(0, |value, digit| value * radix + digit);
    (value as u8, &text[digits.count()..])
}

/// What a letter behind a backslash stands for; most of them for themselves.
fn control(letter: u8) -> u8 {
    match letter {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_those_of_c() {
        for (text, bytes) in [
            ("", b"".as_slice()),
            (r"\001\377x", b"\x01\xffx"),
            (r"\n\r\t\a\b\v\f\\\'\x22\?", b"\n\r\t\x07\x08\x0b\x0c\\'\"?"),
            (r"\0\18\xfg\1234", b"\0\x018\x0fgS4"),
            ("plain \\", b"plain \\"),
        ] {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }
}
