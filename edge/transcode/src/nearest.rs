//! What somebody probably meant.

/// Longer names are not compared: the cost is the product of both lengths.
const NAME_BYTES_MAX: usize = 64;

/// The candidate that is fewest edits away from `name`, if that is at most a third of it; the first of equals.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let near = candidates.into_iter().filter(|candidate| candidate.len() <= NAME_BYTES_MAX);
    let (edits, candidate) =
        near.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|(edits, _)| *edits)?;
    (edits <= name.len().div_ceil(3)).then_some(candidate)
}

/// Levenshtein's, over bytes without case.
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

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_keyboard_is_recognised_and_another_word_is_not() {
        let fields = ["page_size", "page_token", "filter"];
        assert_eq!(nearest("page_siez", fields), Some("page_size"));
        assert_eq!(nearest("pageToken", fields), Some("page_token"));
        assert_eq!(nearest("colour", fields), None);
        assert_eq!(nearest("", fields), None);
        assert_eq!(nearest(&"f".repeat(1000), fields), None);
    }
}
