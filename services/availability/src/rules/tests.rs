use proptest::prelude::*;

use super::*;

#[test]
fn places_compare_without_case_and_keep_their_spelling() {
    let (stored, asked) = (Place::new("NI", " León ").expect("valid"), Place::new("ni", "lEÓN").expect("valid"));
    assert_eq!((&stored.country, &stored.key), (&asked.country, &asked.key));
    assert_eq!(stored.city, "León");
}

#[test]
fn what_is_no_place_is_refused_by_field() {
    let long = "x".repeat(101);
    let rows = [
        ("", "Leon", "country"),
        ("nic", "Leon", "country"),
        ("n1", "Leon", "country"),
        ("ñi", "Leon", "country"),
        ("ni", "  ", "city"),
        ("ni", "a\nb", "city"),
        ("ni", &long, "city"),
    ];
    for (country, city, field) in rows {
        assert_eq!(Place::new(country, city).expect_err("refused").field, field, "{country:?} {city:?}");
    }
}

proptest! {
    #[test]
    fn reading_a_key_again_changes_nothing(city in "[\\p{L} ]{1,40}") {
        if let Ok(place) = Place::new("ni", &city) && let Ok(again) = Place::new("ni", &place.key) {
            prop_assert_eq!(again.key.clone(), again.key.to_lowercase());
        }
    }
}
