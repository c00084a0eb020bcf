use proptest::prelude::*;

use super::*;

#[test]
fn size_is_bounded() {
    assert_eq!(size(0, 50, 100).expect("default"), 50);
    assert_eq!(size(100, 50, 100).expect("largest"), 100);
    for bad in [-1, 101, i32::MAX] {
        assert_eq!(size(bad, 50, 100).expect_err("refused").code(), tonic::Code::InvalidArgument);
    }
}

#[test]
fn a_foreign_token_is_refused() {
    for bad in ["x", "abc", "zz", "c3", "ff", "é1"] {
        assert_eq!(key(bad).expect_err("refused").code(), tonic::Code::InvalidArgument, "{bad}");
    }
}

#[test]
fn a_key_that_is_not_of_this_list_is_refused() {
    let number = |token: &str| parsed_key(token, |key| key.parse::<i64>().ok());
    assert_eq!(number("").expect("the first page"), None);
    assert_eq!(number(&token("7")).expect("own token"), Some(7));
    assert_eq!(number(&token("x")).expect_err("refused").code(), tonic::Code::InvalidArgument);
}

#[test]
fn a_page_ends_before_it_is_too_heavy_but_is_never_empty() {
    let rows = [
        (vec![], 1),
        (vec![1, 1, 1], 3),
        (vec![BYTES_MAX - 1, 1, 1], 2),
        (vec![BYTES_MAX + 1, 1], 1),
        (vec![1, usize::MAX, 1], 1),
    ];
    for (weights, expected) in rows {
        assert_eq!(fitting(weights.iter().copied()), expected, "{weights:?}");
    }
}

proptest! {
    #[test]
    fn tokens_carry_any_key(text in "\\PC{1,40}") {
        prop_assert_eq!(key(&token(&text)).expect("own token"), Some(text));
    }

    #[test]
    fn pages_together_are_the_list(rows in 0_usize..60, size in 1_u32..20) {
        let all: Vec<usize> = (0..rows).collect();
        let (mut seen, mut start) = (Vec::new(), 0);
        loop {
            let mut page: Vec<usize> = all[start..].iter().copied().take(size as usize + 1).collect();
            let next = cut(&mut page, size, |row| row.to_string());
            seen.extend(page);
            match key(&next).expect("own token") {
                None => break,
                Some(last) => start = last.parse::<usize>().expect("a row") + 1,
            }
        }
        prop_assert_eq!(seen, all);
    }
}
