//! What a request would bind, for [`crate::explain`].

use std::collections::BTreeSet;

use super::{Payload, RequestPlan};
use crate::Violation;
use crate::explain::Bound;
use crate::json::{EncodeOptions, Encoder};
use crate::wire::{Malformed, Wire};

impl RequestPlan {
    /// The fields that a request without a body gives, each with its value as JSON.
    ///
    /// # Errors
    /// All that is wrong with the request, by field.
    pub fn explain<S: AsRef<str>>(&self, variables: &[S], query: &str) -> Result<Vec<Bound>, Vec<Violation>> {
        let mut wire = Vec::new();
        self.decode(variables, query, Payload::Empty, &mut wire)?;
        let options = EncodeOptions { proto_names: true, opaque_any: true, ..EncodeOptions::default() };
        let encoder = Encoder::new(&self.schema, options);
        let bound = |position: usize| {
            let mut json = Vec::new();
            encoder.field(self.message, position, &wire, &mut json).ok()?;
            let field = self.schema[self.message].fields[position].name.to_string();
            Some(Bound { field, value: serde_json::from_slice(&json).ok()? })
        };
        Ok(self.positions(&wire).unwrap_or_default().into_iter().filter_map(bound).collect())
    }

    /// The fields on the wire, by their positions.
    fn positions(&self, wire: &[u8]) -> Result<BTreeSet<usize>, Malformed> {
        let mut positions = BTreeSet::new();
        let mut wire = Wire::new(wire);
        while !wire.is_done() {
            let (number, wire_type) = wire.tag()?;
            wire.content(number, wire_type)?;
            positions.extend(self.schema[self.message].position_of(number));
        }
        Ok(positions)
    }
}
