//! Fields that have their value from elsewhere.

use super::{Run, Stop};
use crate::schema::Field;
use crate::violation::DIFFERS;

/// A field that has its value from elsewhere, such as the path. The JSON may repeat it but not say otherwise; it is
/// never part of what is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Where it stands: positions in `Message::fields`, from the outermost message inwards.
    pub path: &'a [usize],
    /// Its wire form, tag included; empty for a default that is not written.
    pub wire: &'a [u8],
}

impl<'a> Run<'a, '_> {
    /// A field that has its value, or a part of it, from elsewhere too.
    #[cold]
    pub(super) fn bound_member(
        &mut self,
        field: &'a Field,
        position: usize,
        bound: &[Bound<'_>],
    ) -> Result<bool, Stop> {
        let inner: Vec<Bound<'_>> = bound
            .iter()
            .filter(|bound| bound.path.first() == Some(&position))
            .map(|bound| Bound { path: &bound.path[1..], wire: bound.wire })
            .collect();
        let Some(whole) = inner.iter().find(|bound| bound.path.is_empty()) else {
            return self.present(field, &inner);
        };
        let (start, at) = (self.out.len(), self.lexer.at);
        // The path's value is as it is written.
        let keep_defaults = std::mem::replace(&mut self.keep_defaults, false);
        let written = self.present(field, &[]);
        self.keep_defaults = keep_defaults;
        written?;
        let same = self.out[start..] == *whole.wire;
        self.out.truncate(start);
        if same { Ok(true) } else { Err(self.fault(at, DIFFERS)) }
    }
}
