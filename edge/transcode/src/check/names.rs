//! Fields whose name in JSON another one of their message has, as old protos may have them.

use std::collections::HashSet;

use super::{Code, Finding};
use crate::rule::Declared;
use crate::schema::{Kind, MessageId, Schema};

/// Of all messages that the binding's method takes and answers with those that were not seen before.
pub(super) fn clashing(
    declared: &Declared<'_>,
    seen: &mut HashSet<(*const Schema, MessageId)>,
    findings: &mut Vec<Finding>,
) {
    let schema = declared.schema;
    let mut open = vec![declared.method.input, declared.method.output];
    while let Some(id) = open.pop() {
        if !seen.insert((schema, id)) {
            continue;
        }
        let message = &schema[id];
        for field in message.renamed.iter().map(|at| &message.fields[*at]) {
            let name = &field.name;
            let text =
                format!("{}.{name} has a name in JSON that another field has, so there it is {name}", message.name);
            let finding = declared.finding(Code::JsonName, text).help("give it a json_name of its own");
            let (file, line) = (field.source.file.to_string(), field.source.line);
            findings.push(Finding { file, line, ..finding });
        }
        open.extend(message.fields.iter().filter_map(|field| match field.kind {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }));
    }
}
