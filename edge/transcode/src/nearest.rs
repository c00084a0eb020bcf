//! What somebody probably meant.

/// Longer names are not compared: a word has a bit for each byte.
const NAME_BYTES_MAX: usize = u64::BITS as usize;

/// The candidate that is fewest edits away from `name`, if that is at most a third of it; the first of equals.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let most = name.len().div_ceil(3);
    let distance = distance_from(name);
    let near = candidates.into_iter().filter(|candidate| candidate.len().abs_diff(name.len()) <= most);
    let near = near.map(|candidate| (distance(candidate), candidate)).filter(|(edits, _)| *edits <= most);
    near.min_by_key(|(edits, _)| *edits).map(|(_, candidate)| candidate)
}

/// Levenshtein's distance from a name of 1 to 64 bytes, over bytes without case: each column of its table at once, the
/// steps up and down in it as bits (Myers 1999, Hyyrö 2003). For a client may ask this of every field, many times.
fn distance_from(name: &str) -> impl Fn(&str) -> usize {
    let mut places = [0_u64; 256];
    for (at, byte) in name.bytes().enumerate() {
        places[usize::from(byte.to_ascii_lowercase())] |= 1 << at;
    }
    let rows = name.len();
    move |other| {
        let (mut ups, mut downs, mut last) = (u64::MAX, 0, rows);
        for byte in other.bytes() {
            let same = places[usize::from(byte.to_ascii_lowercase())];
            let diagonal = ((same & ups).wrapping_add(ups) ^ ups) | same | downs;
            let (rises, falls) = (downs | !(diagonal | ups), ups & diagonal);
            last += (rises >> (rows - 1) & 1) as usize;
            last -= (falls >> (rows - 1) & 1) as usize;
            let rises = rises << 1 | 1;
            (ups, downs) = (falls << 1 | !(diagonal | rises), rises & diagonal);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use proptest::prelude::*;

    use super::{distance_from, nearest};

    #[test]
    fn a_slip_of_the_keyboard_is_recognised_and_another_word_is_not() {
        let fields = ["page_size", "page_token", "filter"];
        assert_eq!(nearest("page_siez", fields), Some("page_size"));
        assert_eq!(nearest("pageToken", fields), Some("page_token"));
        assert_eq!(nearest("colour", fields), None);
        assert_eq!(nearest("", fields), None);
        assert_eq!(nearest(&"f".repeat(1000), fields), None);
    }

    /// The table itself, row by row.
    fn distance(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (at, left) in a.bytes().enumerate() {
            let mut diagonal = row[0];
            row[0] = at + 1;
            for (to, right) in b.bytes().enumerate() {
                let replaced = diagonal + usize::from(!left.eq_ignore_ascii_case(&right));
                diagonal = row[to + 1];
                row[to + 1] = replaced.min(diagonal + 1).min(row[to] + 1);
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn the_distance_is_that_of_the_table(name in "[abAB_]{1,64}", other in "[abAB_]{0,90}|\\PC{0,9}") {
            prop_assert_eq!(distance_from(&name)(&other), distance(&name, &other));
        }
    }

    #[test]
    fn long_names_cost_no_table_each() {
        let fields: Vec<String> = (0..300).map(|at| format!("{at:x>64}")).collect();
        let timed = |look: &dyn Fn() -> usize| {
            let started = Instant::now();
            black_box(look());
            started.elapsed()
        };
        let name = "y".repeat(64);
        let table = timed(&|| fields.iter().map(|field| distance(&name, field)).sum());
        let bits = timed(&|| nearest(&name, fields.iter().map(String::as_str)).map_or(0, str::len));
        assert!(bits * 4 < table, "{bits:?} against {table:?}");
    }
}
