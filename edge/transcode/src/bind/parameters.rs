//! Query parameters and form fields: split, decoded, and bound by field path.

use std::borrow::Cow;

use super::given::{Given, Origin, Said};
use super::path::Wrong;
use super::value::{self, wrong};
use super::{RequestPlan, path};
use crate::Violation;
use crate::check::Body;
use crate::percent::{self, DecodeError, Keep};

/// Most parameters of one query or form.
pub(super) const PARAMETERS_MAX: usize = 1_000;

/// Whether a query has a parameter of this name.
#[must_use]
pub fn has(query: &str, name: &str) -> bool {
    pairs(query).any(|(raw, _)| decode(raw, false).is_ok_and(|given| given == name))
}

/// Splits `a=b&c=d`; escapes are decoded before anybody looks at the names.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A plus is a space. Lenient, a '%' that begins no escape is itself: old clients send `50%`.
pub(super) fn decode(raw: &str, lenient: bool) -> Result<Cow<'_, str>, DecodeError> {
    let spaced = if raw.contains('+') { Cow::Owned(raw.replace('+', " ")) } else { Cow::Borrowed(raw) };
    match percent::decode(&spaced, Keep::Nothing) {
        Ok(Cow::Owned(decoded)) => Ok(Cow::Owned(decoded)),
        Err(DecodeError::BadEscape) if lenient => Ok(spaced),
        Ok(Cow::Borrowed(_)) => Ok(spaced),
        Err(error) => Err(error),
    }
}

/// Binds the parameters of a query or a form, one after the other.
pub(super) struct Parameters<'b, 'v> {
    pub(super) plan: &'b RequestPlan,
    /// Which of the two; a form is the body.
    pub(super) origin: Origin,
    pub(super) given: &'b mut Given<'v>,
    pub(super) out: &'b mut Vec<u8>,
}

impl Parameters<'_, '_> {
    /// Appends what they give. Where fields have other names there are two rounds: what goes by its own name comes first.
    pub(super) fn bind(mut self, text: &str) {
        let options = &self.plan.options;
        if pairs(text).count() > PARAMETERS_MAX {
            return self.given.report(Violation::new("", format!("more than {PARAMETERS_MAX} parameters")));
        }
        let rounds: &[bool] = if options.aliases.is_empty() { &[false] } else { &[false, true] };
        for round in rounds {
            for (raw_name, raw_value) in pairs(text) {
                let name = decode(raw_name, options.lenient).unwrap_or(Cow::Borrowed(raw_name));
                let alias = options.aliases.get(&*name);
                let is_ignored =
                    || self.origin == Origin::Query && options.ignored_query.iter().any(|one| *one == name);
                if alias.is_some() != *round || is_ignored() {
                    continue;
                }
                if self.given.is_full() {
                    return;
                }
                let value = decode(raw_value, options.lenient).map_err(|error| wrong(error.to_string()));
                let path = alias.map_or(&*name, String::as_str);
                for violation in value.and_then(|value| self.parameter(path, &value)).err().into_iter().flatten() {
                    let violation = violation.within(if name.is_empty() { "=" } else { &name });
                    let is_body = self.origin == Origin::Body;
                    self.given.report(if is_body { self.plan.in_body(violation) } else { violation });
                }
            }
        }
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), Vec<Violation>> {
        let RequestPlan { schema, message, body, options, .. } = self.plan;
        let body_has_all = self.origin == Origin::Query && *body == Body::Whole && !options.lenient;
        let (path, key) = match self.plan.resolve(self.origin, name) {
            Err(Wrong::Unknown(..)) if options.lenient || options.ignore_unknown_parameters => return Ok(()),
            Ok(_) | Err(Wrong::Other(_)) if body_has_all => {
                return Err(wrong("belongs in the body, which carries all fields of this call"));
            }
            resolved => resolved.map_err(wrong)?,
        };
        if self.origin == Origin::Query && matches!(*body, Body::Field(field) if path.first() == Some(&field)) {
            return Err(wrong("is carried by the body"));
        }
        let field = path::last(schema, *message, &path);
        let reader = self.plan.reader(self.origin == Origin::Query, path.len() + usize::from(key.is_some()));
        let mut record = Vec::new();
        let key = match key {
            Some(key) => Some(reader.put_entry(field, key, value, &mut record)?),
            None => reader.put(field, value, &mut record).map(|()| None)?,
        };
        value::check_range(schema, *message, &path, &record)?;
        if self.given.claim(&path, key, Said::By(self.origin), &record).map_err(wrong)? {
            value::put_within(schema, *message, &path[..path.len() - 1], &record, self.out);
        }
        Ok(())
    }
}
