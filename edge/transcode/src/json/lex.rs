//! JSON's tokens by RFC 8259, read from a slice that is known to be UTF-8. Nothing is copied.

use std::borrow::Cow;

use crate::number;

/// How deep the values nest that are only passed over.
const SKIPPED_DEPTH_MAX: usize = 100;

/// The text is no JSON; the [`Lexer`] knows where and why, so that this stays small.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoJson;

pub(super) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// After [`NoJson`], what should have been at `at`.
    pub(super) expected: &'static str,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a [u8],
    escaped: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, expected: "" }
    }

    /// Remembers what should have been here.
    #[cold]
    pub(super) fn no_json(&mut self, expected: &'static str) -> NoJson {
        self.expected = expected;
        NoJson
    }

    /// The next byte that is no white space, left where it is; 0 at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), NoJson> {
        if self.peek() != byte {
            return Err(self.no_json(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether `byte` is next, passing over it.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == byte;
        self.at += usize::from(next);
        next
    }

    /// Whether this word is next, passing over it.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.peek();
        self.literal(word.as_bytes())
    }

    /// Whether these very bytes are next, passing over them.
    #[inline]
    pub(super) fn literal(&mut self, bytes: &[u8]) -> bool {
        let next = self.text[self.at..].starts_with(bytes);
        self.at += if next { bytes.len() } else { 0 };
        next
    }

    pub(super) fn number(&mut self) -> Result<&'a [u8], NoJson> {
        self.peek();
        let rest = &self.text[self.at..];
        // Most are a few digits.
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let plain = !matches!(rest.get(digits), Some(b'.' | b'e' | b'E' | b'-'))
            && (rest.first() != Some(&b'0') || digits == 1);
        let length = if digits > 0 && plain { digits } else { number::scan(rest) };
        if length == 0 || rest.get(length).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.') {
            return Err(self.no_json("a value"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// A string, its escapes checked.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Text<'a>, NoJson> {
        self.expect(b'"', "a string in double quotes")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text { raw: &self.text[start..self.at - 1], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.no_json("no control character in a string; write it as an escape")),
                None => return Err(self.no_json("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NoJson> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit =
                    hex(&self.text[self.at + 2..]).ok_or_else(|| self.no_json("four hexadecimal digits after \\u"))?;
                self.at += 6;
                if (0xD800..0xDC00).contains(&unit) {
                    let low = self.text[self.at..].strip_prefix(b"\\u").and_then(hex);
                    low.filter(|unit| (0xDC00..0xE000).contains(unit))
                        .ok_or_else(|| self.no_json("both halves of a surrogate pair"))?;
                    self.at += 6;
                } else if (0xDC00..0xE000).contains(&unit) {
                    return Err(self.no_json("both halves of a surrogate pair"));
                }
            }
            _ => return Err(self.no_json("a valid escape after \\")),
        }
        Ok(())
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Result<(), NoJson> {
        self.skip_within(SKIPPED_DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), NoJson> {
        let close = match self.peek() {
            b'"' => return self.string().map(drop),
            b'{' => b'}',
            b'[' => b']',
            b't' if self.word("true") => return Ok(()),
            b'f' if self.word("false") => return Ok(()),
            b'n' if self.word("null") => return Ok(()),
            b'-' | b'0'..=b'9' => return self.number().map(drop),
            _ => return Err(self.no_json("a value")),
        };
        let depth = depth.checked_sub(1).ok_or_else(|| self.no_json("at most 100 levels of nesting"))?;
        self.at += 1;
        if self.eat(close) {
            return Ok(());
        }
        loop {
            if close == b'}' {
                self.string()?;
                self.expect(b':', "':'")?;
            }
            self.skip_within(depth)?;
            if !self.more(close)? {
                return Ok(());
            }
        }
    }

    /// After an element: whether there is another one, or else the end `close`, passing over either.
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Result<bool, NoJson> {
        match self.peek() {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if close == b'}' => Err(self.no_json("',' or '}'")),
            _ => Err(self.no_json("',' or ']'")),
        }
    }
}

impl<'a> Text<'a> {
    /// What the string is.
    #[inline]
    pub(super) fn value(self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.put_unescaped(&mut out);
        Cow::Owned(out)
    }

    /// Appends what the string is.
    #[inline]
    pub(super) fn put(self, out: &mut Vec<u8>) {
        if self.escaped { self.put_unescaped(out) } else { out.extend_from_slice(self.raw) }
    }

    fn put_unescaped(self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        loop {
            let at = plain_length(rest);
            out.extend_from_slice(&rest[..at]);
            if at == rest.len() {
                return;
            }
            let letter = match rest.get(at + 1) {
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'u') => {
                    let unit = |at: usize| rest.get(at..).and_then(hex);
                    let units = [unit(at + 2).unwrap_or_default(), unit(at + 8).unwrap_or_default()];
                    // Halves stand in pairs, or the string would not have been read.
                    let letter = char::decode_utf16(units).find_map(Result::ok).unwrap_or_default();
                    rest = &rest[at + if letter.len_utf16() == 2 { 12 } else { 6 }..];
                    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                other => char::from(*other.unwrap_or(&b'\\')),
            };
            out.push(letter as u8);
            rest = &rest[(at + 2).min(rest.len())..];
        }
    }
}

/// A UTF-16 unit in four digits.
fn hex(text: &[u8]) -> Option<u16> {
    text.get(..4)?.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// How many bytes at the front mean themselves in a string: no quote, backslash or control character.
#[inline]
pub(super) fn plain_length(text: &[u8]) -> usize {
    /// Strings that are shorter are the most; blocks would only cost them.
    const BLOCK: usize = 32;
    let near = plain_words::<false>(text.get(..BLOCK).unwrap_or(text));
    if near < BLOCK { near } else { long_plain_length::<BLOCK>(text) }
}

/// Whole blocks first, which compile to vector instructions.
fn long_plain_length<const BLOCK: usize>(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let special = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
    let plain = |block: &&[u8; BLOCK]| block.iter().fold(0, |any, byte| any | special(byte)) == 0;
    let clean = blocks.iter().take_while(plain).count() * BLOCK;
    clean + plain_words::<false>(&text[clean..])
}

/// How many bytes at the front mean themselves in a string, eight at a time; with `ASCII` only ASCII does.
#[inline]
pub(super) fn plain_words<const ASCII: bool>(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // A byte's high bit is set where it is zero, or, falsely, above such a byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let signs = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        let high = if ASCII { word } else { 0 };
        let found = (controls | signs | high) & HIGHS;
        if found != 0 {
            return at * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20) && (!ASCII || byte.is_ascii());
    text.len() - rest.len() + rest.iter().take_while(plain).count()
}
