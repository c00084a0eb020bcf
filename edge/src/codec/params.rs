//! Query parameters and form fields, bound to a message by field path.

use std::collections::{BTreeMap, HashSet};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};

use super::fields::FieldPath;
use super::{Violation, scalar};

/// Most parameters of one request.
const PARAMETERS_MAX: usize = 1_000;

/// How names and values are read.
pub(super) struct Rules<'r> {
    pub(super) lenient: bool,
    /// Other names: parameter -> field path.
    pub(super) aliases: &'r BTreeMap<String, String>,
    /// A field that the body carries, and no parameter may touch.
    pub(super) taken: Option<&'r FieldDescriptor>,
}

/// Splits `a=b&c=d`; a plus is a space, escapes are decoded before names are looked at.
///
/// # Errors
/// Too many parameters, or text that is not UTF-8.
pub(super) fn split(text: &[u8]) -> Result<Vec<(String, String)>, Violation> {
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(text).take(PARAMETERS_MAX + 1).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    if pairs.len() > PARAMETERS_MAX {
        return Err(Violation::new("", format!("more than {PARAMETERS_MAX} parameters")));
    }
    // The parser puts U+FFFD where the bytes were no UTF-8; a genuine one is encoded as EF BF BD.
    let genuine = |text: &[u8]| text.windows(9).any(|window| window.eq_ignore_ascii_case(b"%EF%BF%BD"));
    if pairs.iter().any(|(k, v)| k.contains('\u{fffd}') || v.contains('\u{fffd}')) && !genuine(text) {
        return Err(Violation::new("", "parameters must be UTF-8"));
    }
    Ok(pairs)
}

/// Binds parameters to fields that are not set yet: what the body gave comes first for lenient bindings, and cannot
/// be given again for others.
pub(super) fn bind(message: &mut DynamicMessage, pairs: &[(String, String)], rules: &Rules<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let before = message.clone();
    let mut bound = HashSet::new();
    for (name, text) in pairs {
        let target = rules.aliases.get(name).unwrap_or(name);
        let outcome = match FieldPath::resolve(&before.descriptor(), target) {
            Err(_) if rules.lenient => Ok(()),
            Err(problem) => Err(problem),
            Ok(path) if rules.taken == Some(path.first()) => Err("is carried by the body".to_owned()),
            Ok(path) if path.get(&before).is_some() && path.map_key.is_none() => given(&path, &before, text, rules),
            Ok(path) => assign(message, &path, text, &mut bound, rules.lenient),
        };
        if let Err(description) = outcome {
            violations.push(Violation::new(name, description));
        }
    }
    violations
}

fn given(path: &FieldPath, before: &DynamicMessage, text: &str, rules: &Rules<'_>) -> Result<(), String> {
    if rules.lenient {
        return Ok(());
    }
    let same = scalar::parse(&path.field.kind(), text, false).ok() == path.get(before);
    if same { Ok(()) } else { Err("is given with another value elsewhere".to_owned()) }
}

fn assign(
    message: &mut DynamicMessage,
    path: &FieldPath,
    text: &str,
    bound: &mut HashSet<String>,
    lenient: bool,
) -> Result<(), String> {
    let field = &path.field;
    let kind = field.kind();
    if let (Some(key), Kind::Message(entry)) = (&path.map_key, &kind) {
        let key = scalar::parse_key(&entry.map_entry_key_field().kind(), key)?;
        let value = scalar::parse(&entry.map_entry_value_field().kind(), text, lenient)?;
        return insert(path.parent(message)?, field, key, value);
    }
    let value = scalar::parse(&kind, text, lenient)?;
    if field.is_list() {
        if matches!(kind, Kind::Message(_)) && !scalar::has_text(&kind) {
            return Err("is a repeated message, which only a JSON body can carry".to_owned());
        }
        if let Some(list) = path.parent(message)?.get_field_mut(field).as_list_mut() {
            list.push(value);
        }
        return Ok(());
    }
    if !bound.insert(path.name()) && !lenient {
        return Err("is given twice".to_owned());
    }
    path.parent(message)?.set_field(field, value);
    Ok(())
}

fn insert(parent: &mut DynamicMessage, field: &FieldDescriptor, key: MapKey, value: Value) -> Result<(), String> {
    let Some(map) = parent.get_field_mut(field).as_map_mut() else { return Err("is not a map".to_owned()) };
    match map.insert(key, value) {
        None => Ok(()),
        Some(_) => Err("is given twice".to_owned()),
    }
}
