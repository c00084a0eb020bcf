//! Cuts JSON values out of a body as it comes: the elements of one array, or values one after another, with or without
//! line ends between. Only where a value ends is found here; whether it is JSON at all, its reader says.

use bytes::{Buf as _, Bytes, BytesMut};

#[cfg(test)]
mod tests;

/// Values of a body that is read bit by bit.
#[derive(Debug)]
pub(crate) struct Values {
    /// What came and was not given out yet.
    ahead: BytesMut,
    value_bytes_max: usize,
    at: At,
    /// How much of `ahead` was looked at.
    seen: usize,
    scan: Scan,
}

/// Between which parts of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    /// Of values that stand alone.
    Alone,
    /// Behind the bracket.
    ArrayStart,
    /// Behind a comma.
    Element,
    /// Behind an element.
    Separator,
    End,
}

/// Within a value.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// What is wrong with a body as a whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("a message is larger than {0} bytes")]
    TooLarge(usize),
    #[error("malformed JSON: the body ends within {0}")]
    CutOff(&'static str),
    #[error("malformed JSON: {0:?} where {1} is expected")]
    Unexpected(char, &'static str),
}

impl Values {
    /// Values of at most `value_bytes_max` each. With `lines` an array is a value like any other.
    pub(crate) fn new(value_bytes_max: usize, lines: bool) -> Self {
        let at = if lines { At::Alone } else { At::Start };
        Self { ahead: BytesMut::new(), value_bytes_max, at, seen: 0, scan: Scan::default() }
    }

    /// Takes in the next part of the body.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.ahead.extend_from_slice(data);
    }

    /// How much came and was not given out yet.
    pub(crate) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// The next value, once all of it is there; `None` until then. `ended` when nothing more comes.
    ///
    /// # Errors
    /// What keeps the body from being a sequence of values.
    pub(crate) fn next(&mut self, ended: bool) -> Result<Option<Bytes>, Error> {
        while self.seen == 0 {
            self.ahead.advance(self.ahead.iter().take_while(|byte| byte.is_ascii_whitespace()).count());
            let Some(&byte) = self.ahead.first() else { return self.nothing(ended) };
            if !self.step(byte)? {
                break;
            }
            self.ahead.advance(1);
        }
        let length = self.end(ended)?;
        if length.unwrap_or(self.ahead.len()) > self.value_bytes_max {
            return Err(Error::TooLarge(self.value_bytes_max));
        }
        let Some(length) = length else { return Ok(None) };
        (self.seen, self.scan) = (0, Scan::default());
        if self.at != At::Alone {
            self.at = At::Separator;
        }
        Ok(Some(self.ahead.split_to(length).freeze()))
    }

    /// Whether a byte between values is done with; else it begins one.
    fn step(&mut self, byte: u8) -> Result<bool, Error> {
        let (at, done) = match (self.at, byte) {
            (At::Start, b'[') => (At::ArrayStart, true),
            (At::Start | At::Alone, _) => (At::Alone, false),
            (At::ArrayStart | At::Separator, b']') => (At::End, true),
            (At::Separator, b',') => (At::Element, true),
            (At::ArrayStart, byte) | (At::Element, byte) if !matches!(byte, b',' | b']') => (self.at, false),
            (at, byte) => return Err(Error::Unexpected(byte.into(), at.expected())),
        };
        self.at = at;
        Ok(done)
    }

    fn nothing(&self, ended: bool) -> Result<Option<Bytes>, Error> {
        match self.at {
            At::ArrayStart | At::Element | At::Separator if ended => Err(Error::CutOff("its array")),
            _ => Ok(None),
        }
    }

    /// Where the value at the front ends.
    fn end(&mut self, ended: bool) -> Result<Option<usize>, Error> {
        while let Some(&byte) = self.ahead.get(self.seen) {
            if self.scan.is_over(byte, self.seen) {
                return Ok(Some(self.seen));
            }
            self.seen += 1;
            if self.scan.closes(byte) {
                return Ok(Some(self.seen));
            }
        }
        match self.scan {
            Scan { depth: 0, in_string: false, .. } if ended => Ok(Some(self.seen)),
            _ if ended => Err(Error::CutOff("a message")),
            _ => Ok(None),
        }
    }
}

impl At {
    fn expected(self) -> &'static str {
        match self {
            Self::Separator => "',' or ']'",
            Self::End => "the end",
            _ => "a value",
        }
    }
}

impl Scan {
    /// Whether a number or a name has ended before this byte.
    fn is_over(&self, byte: u8, seen: usize) -> bool {
        seen > 0 && self.depth == 0 && !self.in_string && (byte.is_ascii_whitespace() || b",]}{[\"".contains(&byte))
    }

    /// Takes a byte in; whether it is the last of its string, array or object.
    fn closes(&mut self, byte: u8) -> bool {
        match (self.in_string, byte) {
            (true, _) if self.escaped => self.escaped = false,
            (true, b'\\') => self.escaped = true,
            (true, b'"') => {
                self.in_string = false;
                return self.depth == 0;
            }
            (true, _) => {}
            (false, b'"') => self.in_string = true,
            (false, b'{' | b'[') => self.depth += 1,
            (false, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            (false, _) => {}
        }
        false
    }
}
