//! The path template grammar of `google.api.http`, parsed whole and with positions in its errors.
//!
//! ```text
//! Template = "/" [ Segments [ ":" LITERAL ] ]      Segments = Segment { "/" Segment }
//! Segment  = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}"
//! ```
//! `**` may stand anywhere but only once; a variable holds no variable; nothing is glued to `*` or `{..}`. It knows
//! no message: whether a field path exists is the codec's to say.

use super::percent;

#[cfg(test)]
mod tests;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// As it was written.
    pub(crate) text: String,
    pub(crate) segments: Vec<Segment>,
    /// The custom verb, without its colon.
    pub(crate) verb: Option<String>,
    pub(crate) variables: Vec<Variable>,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// This text, percent-normalised.
    Literal(String),
    /// `*`: any one segment that is not empty.
    Single,
    /// `**`: any number of segments.
    Multi,
}

/// A field bound to a run of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// `a.b.c`
    pub(crate) field_path: String,
    /// The template's segments it spans: `start..end`.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether it may hold several segments, and so keeps `%2F` encoded.
    pub(crate) multi: bool,
}

/// Why a template is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at character {} of \"{template}\"", position + 1)]
pub(crate) struct ParseError {
    template: String,
    position: usize,
    reason: &'static str,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { text, at: 0, segments: Vec::new(), variables: Vec::new() };
        let verb = parser.template().map_err(|reason| ParseError {
            template: text.to_owned(),
            position: parser.at,
            reason,
        })?;
        Ok(Self { text: text.to_owned(), segments: parser.segments, verb, variables: parser.variables })
    }

    /// Where `**` stands, if there is one.
    pub(crate) fn multi_at(&self) -> Option<usize> {
        self.segments.iter().position(|segment| *segment == Segment::Multi)
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Byte offset of the next character; all of the grammar is ASCII.
    at: usize,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
}

type Parsed<T> = Result<T, &'static str>;

impl<'t> Parser<'t> {
    fn template(&mut self) -> Parsed<Option<String>> {
        if !self.eat(b'/') {
            return Err("a template starts with '/'");
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        self.segments(false)?;
        let verb =
            if self.eat(b':') { Some(percent::normalise(self.literal("empty verb")?).into_owned()) } else { None };
        if self.peek().is_some() {
            return Err("unexpected character");
        }
        Ok(verb)
    }

    fn segments(&mut self, in_variable: bool) -> Parsed<()> {
        loop {
            self.segment(in_variable)?;
            if !self.eat(b'/') {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, in_variable: bool) -> Parsed<()> {
        match self.peek() {
            Some(b'{') if in_variable => Err("a variable cannot hold a variable"),
            Some(b'{') => self.variable(),
            Some(b'*') => {
                self.at += 1;
                let segment = if self.eat(b'*') { Segment::Multi } else { Segment::Single };
                if segment == Segment::Multi && self.segments.contains(&segment) {
                    return Err("second '**'");
                }
                self.segments.push(segment);
                Ok(())
            }
            _ => {
                let literal = percent::normalise(self.literal("empty segment")?).into_owned();
                self.segments.push(Segment::Literal(literal));
                Ok(())
            }
        }
    }

    fn variable(&mut self) -> Parsed<()> {
        self.at += 1;
        let field_path = self.field_path()?;
        if self.variables.iter().any(|variable| variable.field_path == field_path) {
            return Err("field bound twice");
        }
        let start = self.segments.len();
        if self.eat(b'=') {
            self.segments(true)?
        } else {
            self.segments.push(Segment::Single)
        }
        if !self.eat(b'}') {
            return Err("expected '}'");
        }
        let end = self.segments.len();
        let multi = end - start > 1 || self.segments[start] == Segment::Multi;
        self.variables.push(Variable { field_path: field_path.to_owned(), start, end, multi });
        Ok(())
    }

    fn field_path(&mut self) -> Parsed<&'t str> {
        let start = self.at;
        loop {
            if !self.peek().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
                return Err("expected a field name");
            }
            while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                self.at += 1;
            }
            if !self.eat(b'.') {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// RFC 3986's `pchar`s, but for those the grammar itself uses.
    fn literal(&mut self, if_empty: &'static str) -> Parsed<&'t str> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'%' if !percent::is_escape(&self.text.as_bytes()[self.at..]) => return Err("bad percent escape"),
                b'%' => self.at += 3,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'+' | b',' | b';' | b'='
                | b'@' => self.at += 1,
                byte if byte.is_ascii_alphanumeric() => self.at += 1,
                _ => break,
            }
        }
        if self.at == start { Err(if_empty) } else { Ok(&self.text[start..self.at]) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }
}
