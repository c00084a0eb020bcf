//! `google.protobuf.Any`: an object that says by its `@type` what it is.

use super::{EncodeError, Run, Stop, put_string};
use crate::base64;
use crate::json::type_of;
use crate::schema::WellKnown;
use crate::wire::{LENGTH, Wire};

impl Run<'_, '_> {
    pub(super) fn any(&mut self, wire: &[u8]) -> Result<(), Stop> {
        let (mut url, mut value): (&[u8], &[u8]) = (b"", b"");
        let mut wire = Wire::new(wire);
        while !wire.is_done() {
            match wire.tag()? {
                (1, LENGTH) => url = wire.slice()?,
                (2, LENGTH) => value = wire.slice()?,
                (number, wire_type) => wire.skip(number, wire_type)?,
            }
        }
        if url.is_empty() && value.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        self.out.extend_from_slice(b"{\"@type\":");
        if !put_string(url, self.out) {
            return Err(Stop::Utf8("type_url".into()));
        }
        let Some((schema, id)) = type_of(url, self.schema, self.options.any) else { return self.opaque(url, value) };
        let start = self.out.len();
        let outer = std::mem::replace(&mut self.schema, schema);
        let message = &schema[id];
        let result = match message.well_known {
            None | Some(WellKnown::Empty) => {
                self.nested(|run| run.members(message, value, false)).map_err(|stop| stop.of(message))
            }
            Some(_) => {
                self.out.extend_from_slice(b",\"value\":");
                self.message(id, value)
            }
        };
        self.schema = outer;
        if result.is_err() && self.options.opaque_any && !self.trusting {
            self.out.truncate(start);
            return self.opaque(url, value);
        }
        result?;
        self.out.push(b'}');
        Ok(())
    }

    /// One of a type that nobody knows, or that is not what it says.
    fn opaque(&mut self, url: &[u8], value: &[u8]) -> Result<(), Stop> {
        if !self.options.opaque_any {
            let url = String::from_utf8_lossy(url).into();
            return Err(Stop::Whole(Box::new(EncodeError::UnknownType { url })));
        }
        self.out.extend_from_slice(b",\"value\":\"");
        base64::encode(value, self.out);
        self.out.extend_from_slice(b"\"}");
        Ok(())
    }
}
