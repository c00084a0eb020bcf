use proptest::prelude::*;

use super::*;

fn leon() -> Place {
    Place::new("NI", " Leon ").expect("valid")
}

#[test]
fn places_compare_without_case_and_keep_their_spelling() {
    assert_eq!(leon(), Place { country: "ni".into(), city: "Leon".into(), key: "leon".into() });
}

#[test]
fn what_cannot_be_stored_is_refused_by_field() {
    let (long_sku, long_city) = ("x".repeat(65), "x".repeat(101));
    for (country, city, field) in [("nic", "Leon", "country"), ("n1", "Leon", "country"), ("ni", "", "city")] {
        assert_eq!(Place::new(country, city).expect_err("refused").field, field);
    }
    assert_eq!(Place::new("ni", &long_city).expect_err("refused").field, "city");
    for (sku, description, price, field) in [
        ("", "x", "1", "sku"),
        (&long_sku, "x", "1", "sku"),
        ("x", "", "1", "description"),
        ("x", "x", "-1", "price"),
        ("x", "x", "1.001", "price"),
    ] {
        let product = Product::new(sku.to_owned(), description.to_owned(), price);
        assert_eq!(product.expect_err("refused").field, field);
    }
    for (variation, min, max, field) in [
        (0.0, 0, 0, "variation"),
        (-1.0, 0, 0, "variation"),
        (1.0005, 0, 0, "variation"),
        (1000.001, 0, 0, "variation"),
        (f64::NAN, 0, 0, "variation"),
        (f64::INFINITY, 0, 0, "variation"),
        (1.0, -1, 0, "min_condition"),
        (1.0, 1000, 1000, "min_condition"),
        (1.0, 5, 4, "max_condition"),
        (1.0, 5, 1000, "max_condition"),
    ] {
        assert_eq!(
            Rule::new(leon(), variation, min, max).expect_err("refused").field,
            field,
            "{variation} {min} {max}"
        );
    }
    assert!(Rule::new(leon(), 1000.0, 0, 999).is_ok() && Rule::new(leon(), 0.001, 999, 999).is_ok());
}

#[test]
fn the_largest_fitting_variation_wins() {
    let rules = [(1_500, 500, 599), (500, 800, 804), (2_000, 501, 501)];
    for (conditions, expected) in [
        (&[500][..], 1_500),
        (&[599], 1_500),
        (&[501], 2_000),
        (&[804], 500),
        (&[804, 500], 1_500),
        (&[600], UNCHANGED_MILLI),
        (&[805, 499], UNCHANGED_MILLI),
        (&[], UNCHANGED_MILLI),
    ] {
        assert_eq!(applied(rules, conditions), expected, "{conditions:?}");
    }
}

#[test]
fn prices_are_rounded_half_up() {
    for (base, variation, expected) in
        [(1_000, 1_500, 1_500), (119, 500, 60), (1, 500, 1), (1, 499, 0), (99_999_999, 1_000_000, 99_999_999_000)]
    {
        assert_eq!(price(base, variation), expected, "{base} {variation}");
    }
}

proptest! {
    #[test]
    fn every_variation_of_three_places_is_kept(thousandths in 1..=VARIATION_MILLI_MAX) {
        let given: f64 = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000).parse().expect("a number");
        prop_assert_eq!(milli(given), Some(thousandths));
        prop_assert_eq!(variation(thousandths).to_bits(), given.to_bits());
    }

    #[test]
    fn a_variation_of_four_places_is_refused(tenths in (1..VARIATION_MILLI_MAX * 10).prop_filter("", |n| n % 10 != 0)) {
        prop_assert_eq!(milli(f64::from(tenths) / 10_000.0), None);
    }
}
