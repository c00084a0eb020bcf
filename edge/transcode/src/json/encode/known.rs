//! Well-known types with a JSON form of their own.

use super::{EncodeError, Run, Stop, order};
use crate::schema::{Message, WellKnown};
use crate::wire::{FIXED64, LENGTH, VARINT, Wire};
use crate::{mask, time};

impl<'a> Run<'a, '_> {
    pub(super) fn known(&mut self, message: &'a Message, known: WellKnown, wire: &[u8]) -> Result<(), Stop> {
        match known {
            WellKnown::Any => self.any(wire),
            WellKnown::Timestamp => {
                let (seconds, nanos) = seconds(wire)?;
                self.quoted(message, "is not in the years 1 to 9999", |out| time::put_timestamp(seconds, nanos, out))
            }
            WellKnown::Duration => {
                let (seconds, nanos) = seconds(wire)?;
                self.quoted(message, "is out of range", |out| time::put_duration(seconds, nanos, out))
            }
            WellKnown::FieldMask => self.mask(message, wire),
            WellKnown::Value => self.dynamic(message, wire),
            // The only field there is.
            WellKnown::Wrapper(_) | WellKnown::Struct | WellKnown::ListValue | WellKnown::Empty => {
                self.only(message, 0, wire)
            }
        }
    }

    /// A string that needs no escapes, if `put` can write it.
    fn quoted(
        &mut self,
        message: &Message,
        problem: &'static str,
        put: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> Result<(), Stop> {
        self.out.push(b'"');
        if !put(self.out) {
            return Err(no_json(message, problem));
        }
        self.out.push(b'"');
        Ok(())
    }

    fn mask(&mut self, message: &Message, wire: &[u8]) -> Result<(), Stop> {
        let mut wire = Wire::new(wire);
        let mut paths = Vec::new();
        while !wire.is_done() {
            match wire.tag()? {
                (1, LENGTH) => {
                    let path = std::str::from_utf8(wire.slice()?).map_err(|_| Stop::Utf8("paths".into()))?;
                    paths.push(path);
                }
                (number, wire_type) => wire.skip(number, wire_type)?,
            }
        }
        self.quoted(message, "has a path that is not in snake case", |out| {
            paths.iter().enumerate().all(|(at, path)| {
                out.extend_from_slice(if at == 0 { b"" } else { b"," });
                let plain = !path.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\\' | 0..0x20));
                plain && mask::put(path, out)
            })
        })
    }

    /// A `Value`; one without any is `null`.
    fn dynamic(&mut self, message: &'a Message, wire: &[u8]) -> Result<(), Stop> {
        let wire = order::in_order(self.schema, message, wire)?;
        let mut wire = Wire::new(&wire);
        while !wire.is_done() {
            let (number, wire_type) = wire.tag()?;
            let Some(field) = message.fields.get(number as usize - 1).filter(|field| field.accepts(wire_type)) else {
                wire.skip(number, wire_type)?;
                continue;
            };
            if wire_type == FIXED64 {
                let value = f64::from_bits(wire.fixed64()?);
                if !value.is_finite() {
                    return Err(no_json(message, "is a number that JSON does not have"));
                }
                self.double(value);
            } else {
                self.single(field, &mut wire)?;
            }
            return Ok(());
        }
        self.out.extend_from_slice(b"null");
        Ok(())
    }
}

fn no_json(message: &Message, problem: &'static str) -> Stop {
    Stop::Whole(Box::new(EncodeError::NoJson { message: message.name.clone(), problem }))
}

/// Seconds and nanoseconds, as `Timestamp` and `Duration` both have them.
fn seconds(wire: &[u8]) -> Result<(i64, i32), Stop> {
    let mut wire = Wire::new(wire);
    let (mut seconds, mut nanos) = (0, 0);
    while !wire.is_done() {
        match wire.tag()? {
            (1, VARINT) => seconds = wire.varint()? as i64,
            (2, VARINT) => nanos = wire.varint()? as i32,
            (number, wire_type) => wire.skip(number, wire_type)?,
        }
    }
    Ok((seconds, nanos))
}
