use malla_runtime::decimal;
use proptest::prelude::*;

use super::*;

#[test]
fn a_quantity_is_one_to_a_million() {
    for (given, good) in [(1, true), (QUANTITY_MAX, true), (0, false), (-1, false), (QUANTITY_MAX + 1, false)] {
        assert_eq!(quantity(given).is_ok(), good, "{given}");
    }
}

#[test]
fn a_sku_must_be_given() {
    assert_eq!(sku("").expect_err("refused").field, "sku");
    assert_eq!(sku("123456"), Ok(()));
}

#[test]
fn the_dearest_order_has_a_total() {
    let lines = std::iter::repeat_n((QUANTITY_MAX, decimal::MINOR_MAX), LINES_MAX);
    assert_eq!(total(lines), Some(99_999_999_000_000_000));
}

#[test]
fn a_total_that_does_not_fit_is_none() {
    assert_eq!(total([(2, i64::MAX)]), None);
    assert_eq!(total([(1, i64::MAX), (1, 1)]), None);
}

proptest! {
    #[test]
    fn totals_are_exact(lines in prop::collection::vec((1..=QUANTITY_MAX, 0..=decimal::MINOR_MAX), 0..50)) {
        let exact: i128 = lines.iter().map(|(quantity, price)| i128::from(*quantity) * i128::from(*price)).sum();
        prop_assert_eq!(total(lines).map(i128::from), Some(exact));
    }
}
