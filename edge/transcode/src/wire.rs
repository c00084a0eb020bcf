//! Protobuf's wire format: numbers, tags and lengths.

use crate::schema::{Field, Kind, Message, Schema};

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const LENGTH: u8 = 2;
pub(crate) const START: u8 = 3;
pub(crate) const END: u8 = 4;
pub(crate) const FIXED32: u8 = 5;

/// How a single value of this kind is written.
#[inline]
pub(crate) fn wire_type(kind: Kind, delimited: bool) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => FIXED64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => FIXED32,
        Kind::Message(_) if delimited => START,
        Kind::String | Kind::Bytes | Kind::Message(_) => LENGTH,
        _ => VARINT,
    }
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number << 3 | u32::from(wire_type)));
}

/// Length and bytes.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Leaves room for a length, to be told to [`close`] once what it counts is written.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of all that came after [`open`]; what is longer than 127 bytes moves to make room for it.
#[inline]
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let more = (length.ilog2() / 7) as usize;
    let end = out.len();
    out.resize(end + more, 0);
    out.copy_within(start..end, start + more);
    let mut left = length;
    for byte in &mut out[start - 1..start + more] {
        *byte = left as u8 | 0x80;
        left >>= 7;
    }
    out[start + more - 1] &= 0x7f;
}

/// Takes back what was written for `field` from `start` on, if its payload from `payload` on is a default that is not
/// written: a zero of any width, or nothing after a length.
#[inline]
pub(crate) fn drop_default(out: &mut Vec<u8>, field: &Field, start: usize, payload: usize) {
    if field.cardinality == crate::schema::Cardinality::Implicit && out[payload..].iter().all(|byte| *byte == 0) {
        out.truncate(start);
    }
}

/// An integer off the wire. All of one kind are of one variant, so that they sort by their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// Reads wire bytes from the front.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

/// The bytes are not what they should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Wire<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.at += at + 1;
                return if at == 9 && *byte > 1 { Err(Malformed) } else { Ok(value) };
            }
        }
        Err(Malformed)
    }

    /// Number and wire type of the next field.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        if tag >> 3 == 0 { Err(Malformed) } else { Ok((tag >> 3, (tag & 7) as u8)) }
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.bytes[self.at..].get(..length).ok_or(Malformed)?;
        self.at += length;
        Ok(taken)
    }

    /// Bytes behind their length.
    #[inline]
    pub(crate) fn slice(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Malformed> {
        let (bytes, _) = self.bytes[self.at..].split_first_chunk().ok_or(Malformed)?;
        self.at += 4;
        Ok(u32::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let (bytes, _) = self.bytes[self.at..].split_first_chunk().ok_or(Malformed)?;
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// An integer of this kind; a bool is 0 or 1.
    #[inline]
    pub(crate) fn integer(&mut self, kind: Kind) -> Result<Integer, Malformed> {
        use Integer::{Signed, Unsigned};
        Ok(match kind {
            Kind::Int32 => Signed(i64::from(self.varint()? as i32)),
            Kind::Int64 => Signed(self.varint()? as i64),
            Kind::Uint32 => Unsigned(u64::from(self.varint()? as u32)),
            Kind::Uint64 => Unsigned(self.varint()?),
            Kind::Sint32 => {
                let value = self.varint()? as u32;
                Signed(i64::from((value >> 1) as i32 ^ -((value & 1) as i32)))
            }
            Kind::Sint64 => {
                let value = self.varint()?;
                Signed((value >> 1) as i64 ^ -((value & 1) as i64))
            }
            Kind::Fixed32 => Unsigned(u64::from(self.fixed32()?)),
            Kind::Fixed64 => Unsigned(self.fixed64()?),
            Kind::Sfixed32 => Signed(i64::from(self.fixed32()? as i32)),
            Kind::Sfixed64 => Signed(self.fixed64()? as i64),
            _ => Unsigned(u64::from(self.varint()? != 0)),
        })
    }

    /// Passes over the value of a field whose tag was just read.
    pub(crate) fn skip(&mut self, number: u32, wire_type: u8) -> Result<(), Malformed> {
        match wire_type {
            VARINT => self.varint().map(drop),
            FIXED64 => self.take(8).map(drop),
            LENGTH => self.slice().map(drop),
            FIXED32 => self.take(4).map(drop),
            START => self.group(number).map(drop),
            _ => Err(Malformed),
        }
    }

    /// Passes over the value of a field whose tag was just read; gives what is in it if it may be a message, else nothing.
    pub(crate) fn content(&mut self, number: u32, wire_type: u8) -> Result<&'a [u8], Malformed> {
        match wire_type {
            LENGTH => self.slice(),
            START => self.group(number),
            _ => self.skip(number, wire_type).map(|()| [].as_slice()),
        }
    }

    /// What stands between the start tag of group `number`, just read, and its end tag.
    pub(crate) fn group(&mut self, number: u32) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        let mut open = vec![number];
        loop {
            let end = self.at;
            match self.tag()? {
                (inner, END) => {
                    if open.pop() != Some(inner) {
                        return Err(Malformed);
                    }
                    if open.is_empty() {
                        return Ok(&self.bytes[start..end]);
                    }
                }
                (inner, START) => open.push(inner),
                (inner, wire_type) => self.skip(inner, wire_type)?,
            }
        }
    }
}

/// Whether the field at `path` of a message's bytes, if it is there, is `record`.
pub(crate) fn agrees(
    schema: &Schema,
    message: &Message,
    path: &[usize],
    record: &[u8],
    bytes: &[u8],
) -> Result<bool, Malformed> {
    let Some((position, rest)) = path.split_first() else { return Ok(true) };
    let field = &message.fields[*position];
    let mut wire = Wire::new(bytes);
    while !wire.is_done() {
        let start = wire.at;
        let (number, wire_type) = wire.tag()?;
        let content = wire.content(number, wire_type)?;
        let same = match field.kind {
            _ if number != field.number => true,
            Kind::Message(inner) if !rest.is_empty() => agrees(schema, &schema[inner], rest, record, content)?,
            _ => bytes[start..wire.at] == *record,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}
