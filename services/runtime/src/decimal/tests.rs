use proptest::prelude::*;

use super::*;

#[test]
fn amounts_are_read_to_the_letter() {
    for (text, minor) in
        [("1.19", 119), ("2.00", 200), ("2", 200), ("1.5", 150), ("0", 0), ("0.01", 1), ("999999.99", MINOR_MAX)]
    {
        assert_eq!(parse(text), Ok(minor), "{text}");
    }
    for text in ["", ".", "1.", ".5", "-1", "+1", "1.195", "1e2", " 1", "1,5", "1000000", "99999999999999999999", "١"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn format_is_the_inverse_of_parse(minor in 0..=MINOR_MAX) {
        prop_assert_eq!(parse(&format(minor)), Ok(minor));
    }
}
