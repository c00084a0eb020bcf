//! What a request has said so far, and who said it: so that nothing is said twice, no two members of a oneof are, and
//! nothing overrules the path.

use std::collections::{BTreeMap, BTreeSet};

use super::path;
use crate::Violation;
use crate::schema::{Cardinality, Field, Kind, MessageId, Schema};
use crate::violation::{DIFFERS, VIOLATIONS_MAX};
use crate::wire::{Malformed, Wire};

/// Who says something besides the path, the one before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Body,
    Query,
}

/// What was said of one field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'v> {
    /// By the path: the bytes on the wire, with their tag.
    Path(&'v [u8]),
    /// By a body's JSON or files: all of it, also of what may have several values.
    Whole,
    /// By a parameter; of what may have several values more may follow.
    By(Origin),
    /// Not of the field itself but of its fields, which are at this node.
    Inside(usize),
}

/// A message that something was said inside of, or the type of a map's entries.
#[derive(Debug)]
struct Node<'v> {
    message: MessageId,
    /// The node it stands in, and the name of the field; none for the request itself.
    within: Option<(usize, &'v str)>,
}

/// The fields that were given, as a tree: node 0 is the request, and each message or map that something was said inside
/// of is another.
#[derive(Debug)]
pub(super) struct Given<'v> {
    /// What was wrong with them.
    pub(super) violations: Vec<Violation>,
    schema: &'v Schema,
    lenient: bool,
    nodes: Vec<Node<'v>>,
    /// By node and field number.
    fields: BTreeMap<(usize, u32), Said<'v>>,
    /// The number of the member that is set, by node and oneof.
    oneofs: BTreeMap<(usize, u32), u32>,
    /// By the node of the map, and as on the wire.
    keys: BTreeSet<(usize, Vec<u8>)>,
}

impl<'v> Given<'v> {
    /// Nothing yet of a message. With `lenient`, what was said first stays, and saying it again is no violation.
    pub(super) fn new(schema: &'v Schema, message: MessageId, lenient: bool) -> Self {
        let (violations, fields, oneofs, keys) = Default::default();
        let nodes = vec![Node { message, within: None }];
        Self { violations, schema, lenient, nodes, fields, oneofs, keys }
    }

    /// Whether there are as many violations as are told.
    pub(super) fn is_full(&self) -> bool {
        self.violations.len() >= VIOLATIONS_MAX
    }

    /// Takes note of a violation, unless there are more already than are told.
    pub(super) fn report(&mut self, violation: Violation) {
        if !self.is_full() {
            self.violations.push(violation);
        }
    }

    /// Somebody gives a field, or one more element of it, or the entry of this key in it; `record` are its bytes on the
    /// wire. False: it was said before, and is not to be said again.
    ///
    /// # Errors
    /// Why it cannot be given.
    pub(super) fn claim(
        &mut self,
        path: &[usize],
        key: Option<Vec<u8>>,
        said: Said<'v>,
        record: &[u8],
    ) -> Result<bool, String> {
        let mut node = 0;
        let left = (0..path.len()).rev();
        for (left, (message, field)) in left.zip(path::fields(self.schema, self.nodes[0].message, path)) {
            self.only_member(node, message, field)?;
            let inside = left > 0 || key.is_some();
            match self.fields.get(&(node, field.number)) {
                Some(Said::Inside(inner)) if inside => node = *inner,
                Some(before) => return self.again(*before, said, field, record),
                None if inside => node = self.enter(node, field),
                None => {
                    self.fields.insert((node, field.number), said);
                    return Ok(true);
                }
            }
        }
        match key.is_none_or(|key| self.keys.insert((node, key))) {
            false if !self.lenient => Err("is given twice".to_owned()),
            first => Ok(first),
        }
    }

    fn again(&self, before: Said<'_>, said: Said<'_>, field: &Field, record: &[u8]) -> Result<bool, String> {
        match (before, said) {
            (Said::Path(value), _) if value == record => Ok(false),
            (Said::Path(_), _) => Err(DIFFERS.to_owned()),
            (Said::By(first), Said::By(origin)) if first == origin && field.is_repeated() => Ok(true),
            _ if self.lenient => Ok(false),
            _ => Err("is given twice".to_owned()),
        }
    }

    /// Takes note of everything that a body says. JSON says nothing twice; the parts of a form, put together, may.
    pub(super) fn body(&mut self, wire: &[u8]) {
        let read = self.fields_of(0, self.nodes[0].message, wire);
        debug_assert_eq!(read, Ok(()), "the bytes were only just written");
    }

    fn fields_of(&mut self, node: usize, message: MessageId, bytes: &[u8]) -> Result<(), Malformed> {
        let schema = self.schema;
        let mut wire = Wire::new(bytes);
        while !wire.is_done() {
            let (number, wire_type) = wire.tag()?;
            let content = wire.content(number, wire_type)?;
            let Some(position) = schema[message].position_of(number) else { continue };
            let field = &schema[message].fields[position];
            if let Err(problem) = self.only_member(node, message, field) {
                self.report(Violation::new(self.place(node, &field.name), problem));
            }
            match (self.fields.get(&(node, number)), field.kind) {
                (Some(&Said::Inside(inner)), Kind::Message(message)) => self.fields_of(inner, message, content)?,
                (None, Kind::Message(message)) if !field.is_repeated() && schema[message].well_known.is_none() => {
                    let inner = self.enter(node, field);
                    self.fields_of(inner, message, content)?;
                }
                (None, _) => drop(self.fields.insert((node, number), Said::Whole)),
                (Some(Said::Whole), _) if !field.is_repeated() => {
                    self.report(Violation::new(self.place(node, &field.name), "is given twice"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Looks for proto2's required fields in all that something was said inside of.
    pub(super) fn check_required(&mut self) {
        for node in 0..self.nodes.len() {
            let message = &self.schema[self.nodes[node].message];
            for field in message.fields.iter().filter(|field| field.cardinality == Cardinality::Required) {
                if !self.fields.contains_key(&(node, field.number)) {
                    self.report(Violation::new(self.place(node, &field.name), "is required"));
                }
            }
        }
    }

    /// The path of a field of a node.
    fn place(&self, node: usize, name: &str) -> String {
        match self.nodes[node].within {
            Some((outer, holder)) => format!("{}.{name}", self.place(outer, holder)),
            None => name.to_owned(),
        }
    }

    fn enter(&mut self, node: usize, field: &'v Field) -> usize {
        let Kind::Message(message) = field.kind else { return node };
        self.nodes.push(Node { message, within: Some((node, &field.name)) });
        let inner = self.nodes.len() - 1;
        self.fields.insert((node, field.number), Said::Inside(inner));
        inner
    }

    /// # Errors
    /// Another member of its oneof is set.
    pub(super) fn only_member(&mut self, node: usize, message: MessageId, field: &Field) -> Result<(), String> {
        let Some(oneof) = field.oneof else { return Ok(()) };
        let number = *self.oneofs.entry((node, oneof)).or_insert(field.number);
        if number == field.number {
            return Ok(());
        }
        let message = &self.schema[message];
        let other = message.position_of(number).map_or("another", |position| &message.fields[position].name);
        let oneof = &message.oneofs[oneof as usize];
        Err(format!("cannot be given together with {other}: only one of {oneof} can"))
    }
}
