//! Small tables made once and asked for every field of every request: by name, by number.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::Field;

/// Names to positions: open addressing over a power of two, at most half full.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of chance, for whoever makes up names could make them collide.
    seed: u64,
    /// Twice the position, plus one for the second name of the same thing, plus one; 0 is free.
    slots: Box<[u32]>,
}

impl Names {
    /// The first of equal names stays. `names` come with their position and whether they are the second one of it.
    pub(super) fn new<'a>(names: impl Iterator<Item = (&'a str, usize, bool)> + Clone) -> Self {
        let size = (names.clone().count() * 2).next_power_of_two();
        let (seed, mut known) = (RandomState::new().hash_one(size), HashSet::new());
        let mut slots = vec![0_u32; size].into_boxed_slice();
        for (name, position, second) in names.filter(|(name, ..)| known.insert(*name)) {
            let mut at = hash(seed, name.as_bytes()) as usize & (size - 1);
            while slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = (u32::try_from(position).expect("fewer than 2^30 fields") << 1 | u32::from(second)) + 1;
        }
        Self { seed, slots }
    }

    /// The position of `name`, where `name_of` says what stands at a position.
    #[inline]
    pub(super) fn find<'a>(&self, name: &[u8], name_of: impl Fn(usize, bool) -> &'a str) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash(self.seed, name) as usize & mask;
        loop {
            let slot = self.slots.get(at)?.checked_sub(1)?;
            let position = (slot >> 1) as usize;
            if name_of(position, slot & 1 == 1).as_bytes() == name {
                return Some(position);
            }
            at = (at + 1) & mask;
        }
    }
}

/// Of all bytes, eight at a time: names are short, and many of one enum differ in the middle only.
#[inline]
fn hash(seed: u64, name: &[u8]) -> u32 {
    let mix = |mixed: u64, word: u64| (mixed.rotate_left(29) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (words, rest) = name.as_chunks::<8>();
    let mixed = words.iter().fold(seed ^ name.len() as u64, |mixed, word| mix(mixed, u64::from_le_bytes(*word)));
    // The last eight, some of them for the second time, take one step where the rest alone takes up to seven.
    let last = match name.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (mix(mixed, last) >> 32) as u32
}

/// Field numbers to positions: direct where they lie close together, else by halves.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The position plus one, by number; 0 is none. Empty when the numbers lie too far apart.
    direct: Box<[u32]>,
}

impl Numbers {
    /// `fields` are sorted by number.
    pub(super) fn new(fields: &[Field]) -> Self {
        let end = fields.last().map_or(0, |field| field.number as usize + 1);
        if end > fields.len() * 4 + 64 {
            return Self::default();
        }
        let mut direct = vec![0; end].into_boxed_slice();
        for (position, field) in (1..).zip(fields) {
            direct[field.number as usize] = position;
        }
        Self { direct }
    }

    #[inline]
    pub(super) fn find(&self, number: u32, fields: &[Field]) -> Option<usize> {
        if self.direct.is_empty() {
            return fields.binary_search_by_key(&number, |field| field.number).ok();
        }
        (*self.direct.get(number as usize)?).checked_sub(1).map(|position| position as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, hash};

    #[test]
    fn made_up_names_collide_for_one_seed_only() {
        let names = (0..).map(|at| format!("f{at}")).filter(|name| hash(0, name.as_bytes()) & 127 == 0);
        let names: Vec<String> = names.take(64).collect();
        let table = Names::new(names.iter().enumerate().map(|(at, name)| (name.as_str(), at, false)));
        assert_eq!(table.slots.len(), 128);
        assert!(table.slots.split(|slot| *slot == 0).all(|run| run.len() < 48), "{:?}", table.slots);
        assert_eq!(table.find(names[63].as_bytes(), |at, _| &names[at]), Some(63));
    }
}
