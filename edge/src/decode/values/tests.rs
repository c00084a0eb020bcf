use proptest::prelude::*;

use super::*;

/// All values of a body that comes in pieces of `step` bytes.
fn cut(body: &str, lines: bool, step: usize) -> Result<Vec<String>, String> {
    let mut values = Values::new(20, lines);
    let mut found = Vec::new();
    let mut take = |values: &mut Values, ended| -> Result<(), String> {
        while let Some(value) = values.next(ended).map_err(|error| error.to_string())? {
            found.push(String::from_utf8(value.to_vec()).unwrap());
        }
        Ok(())
    };
    for piece in body.as_bytes().chunks(step) {
        values.push(piece);
        take(&mut values, false)?;
    }
    take(&mut values, true)?;
    Ok(found)
}

#[test]
fn arrays_lines_and_values_in_a_row() {
    for (body, lines, expected) in [
        ("", false, &[][..]),
        (" \n", false, &[]),
        ("[]", false, &[]),
        (" [ ] ", false, &[]),
        ("[{}]", false, &["{}"]),
        (r#"[{"a":[1,{}]}, 2 ,"],",null]"#, false, &[r#"{"a":[1,{}]}"#, "2", r#""],""#, "null"]),
        ("{}{}\n{} 1 2", false, &["{}", "{}", "{}", "1", "2"]),
        (r#""a""b\"""c\\""#, false, &[r#""a""#, r#""b\"""#, r#""c\\""#]),
        ("[1]\n[2]\n", true, &["[1]", "[2]"]),
        ("1\n", false, &["1"]),
        ("12", false, &["12"]),
        // Not JSON, which whoever reads the value says.
        ("}", false, &["}"]),
        ("{]", false, &["{]"]),
    ] {
        for step in [1, 2, 3, 100] {
            let found = cut(body, lines, step).unwrap();
            assert_eq!(found, expected, "{body:?} in steps of {step}");
        }
    }
}

#[test]
fn what_is_no_sequence_is_refused() {
    for (body, expected) in [
        ("[", "malformed JSON: the body ends within its array"),
        ("[1", "malformed JSON: the body ends within its array"),
        ("[1,", "malformed JSON: the body ends within its array"),
        ("{\"a\":", "malformed JSON: the body ends within a message"),
        ("\"a", "malformed JSON: the body ends within a message"),
        ("[,", "malformed JSON: ',' where a value is expected"),
        ("[1,]", "malformed JSON: ']' where a value is expected"),
        ("[1 2]", "malformed JSON: '2' where ',' or ']' is expected"),
        ("[1] 2", "malformed JSON: '2' where the end is expected"),
        ("{\"a\":\"01234567890123456789", "a message is larger than 20 bytes"),
        ("[\"0123456789012345678\"]", "a message is larger than 20 bytes"),
    ] {
        for step in [1, 3, 100] {
            assert_eq!(cut(body, false, step), Err(expected.to_owned()), "{body:?} in steps of {step}");
        }
    }
}

proptest! {
    #[test]
    fn how_a_body_was_cut_does_not_matter(body in "[\\[\\]{},:\"a1 \n\\\\]{0,30}", step in 1_usize..8) {
        prop_assert_eq!(cut(&body, false, step), cut(&body, false, 100));
    }
}
