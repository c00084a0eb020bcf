use proptest::prelude::*;

use super::*;

#[test]
fn skus_have_a_length_and_no_slash() {
    for good in ["1", "123456", "пиво 0,5", &"ж".repeat(64)] {
        assert_eq!(sku(good), Ok(()), "{good}");
    }
    for bad in ["", "a/b", "a\tb", &"x".repeat(65)] {
        assert_eq!(sku(bad).expect_err("refused").field, "sku", "{bad:?}");
    }
}

#[test]
fn what_cannot_be_stored_is_refused_by_field() {
    let (long, longest) = ("x".repeat(256), "ж".repeat(255));
    let fields = |name: &str, price, image: &str| Fields::new(Some(name.into()), Some(price), Some(image.into()));
    assert!(fields(&longest, "999999.99", &longest).is_ok());
    let rows = [
        ("", "1.00", "", "name"),
        (&*long, "1.00", "", "name"),
        ("a\nb", "1.00", "", "name"),
        ("x", "-1.00", "", "price"),
        ("x", "1.001", "", "price"),
        ("x", "", "", "price"),
        ("x", "1000000", "", "price"),
        ("x", "1.00", &*long, "image"),
    ];
    for (name, price, image, field) in rows {
        assert_eq!(fields(name, price, image).expect_err("refused").field, field, "{name:?} {price:?} {image:?}");
    }
}

proptest! {
    #[test]
    fn prices_are_kept_to_the_cent(minor in 0..=decimal::MINOR_MAX) {
        let fields = Fields::new(None, Some(&decimal::format(minor)), None).expect("valid");
        prop_assert_eq!(fields, Fields { price_minor: Some(minor), ..Fields::default() });
    }
}
