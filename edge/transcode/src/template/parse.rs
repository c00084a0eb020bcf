//! The parser of templates: one pass over their bytes; it stops at the first fault, which stands where it stands.

use super::{BYTES_MAX, SEGMENTS_MAX, Segment, Template, TemplateError, Variable, percent};

pub(super) fn parse(text: &str) -> Result<Template, TemplateError> {
    let mut parser = Parser { text, at: 0, segments: Vec::new(), variables: Vec::new() };
    match parser.template() {
        Ok(verb) => {
            Ok(Template { text: text.to_owned(), segments: parser.segments, verb, variables: parser.variables })
        }
        Err(reason) => Err(TemplateError { template: text.to_owned(), column: parser.at + 1, reason }),
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
        if self.text.len() > BYTES_MAX {
            return Err("too long");
        }
        if !self.eat(b'/') {
            return Err("a template starts with '/'");
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        self.segments(false)?;
        let verb = if self.eat(b':') { Some(percent::normalise(self.literal("empty verb")?)) } else { None };
        match self.peek() {
            None => Ok(verb),
            Some(b'/') if verb.is_some() => Err("a verb stands at the end"),
            Some(_) => Err("unexpected character"),
        }
    }

    fn segments(&mut self, in_variable: bool) -> Parsed<()> {
        loop {
            if self.segments.len() == SEGMENTS_MAX {
                return Err("too many segments");
            }
            self.segment(in_variable)?;
            if !self.eat(b'/') {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, in_variable: bool) -> Parsed<()> {
        match self.peek() {
            Some(b'{') if in_variable => return Err("a variable cannot hold a variable"),
            Some(b'{') => return self.variable(),
            Some(b'*') => {
                self.at += 1;
                let segment = if self.eat(b'*') { Segment::Multi } else { Segment::Single };
                if segment == Segment::Multi && self.segments.contains(&segment) {
                    return Err("second '**'");
                }
                self.segments.push(segment);
            }
            _ => {
                let literal = percent::normalise(self.literal("empty segment")?);
                self.segments.push(Segment::Literal(literal));
            }
        }
        Ok(())
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
                b'%' if percent::escape(&self.text.as_bytes()[self.at..]).is_none() => {
                    return Err("bad percent escape");
                }
                b'%' => self.at += 3,
                byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=@".contains(&byte) => self.at += 1,
                _ => break,
            }
        }
        match self.peek() {
            _ if self.at > start => Ok(&self.text[start..self.at]),
            None | Some(b'/' | b':' | b'}') => Err(if_empty),
            Some(_) => Err("unexpected character"),
        }
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
