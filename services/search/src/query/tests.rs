use proptest::prelude::*;

use super::*;

fn conditions(field: &str, text: &str) -> Conditions {
    let mut conditions = Conditions::default();
    let slot = match field {
        "name" => &mut conditions.name,
        "substring" => &mut conditions.substring,
        "glob" => &mut conditions.glob,
        "pattern" => &mut conditions.pattern,
        _ => &mut conditions.content,
    };
    text.clone_into(slot);
    conditions
}

#[test]
fn names_fit_as_the_condition_says() {
    let rows = [
        ("name", "a.txt", "a.txt", true),
        ("name", "a.txt", "A.txt", false),
        ("name", "a", "a.txt", false),
        ("substring", "AÑO", "mi año.txt", true),
        ("substring", "*", "a*b", true),
        ("substring", "*", "ab", false),
        ("glob", "*.txt", "a.txt", true),
        ("glob", "*.txt", ".txt", true),
        ("glob", "*.TXT", "a.txt", false),
        ("glob", "?.txt", "ab.txt", false),
        ("glob", "[a-c].txt", "b.txt", true),
        ("glob", "[!a-c].txt", "b.txt", false),
        ("glob", "*.{txt,csv}", "a.csv", true),
        ("glob", "año*", "año.txt", true),
        ("glob", "a", "ab", false),
        // As the contract says: one ASCII character, or one byte of another.
        ("glob", "a?o", "año", false),
        ("glob", "a??o", "año", true),
        ("pattern", "WEL", "welcome.txt", true),
        ("pattern", "wel*", "welcome.txt", true),
        ("pattern", "WEL*", "welcome.txt", false),
        ("pattern", "w?lcome.txt", "welcome.txt", true),
        ("pattern", "wel[", "wel[", false),
    ];
    for (field, text, name, fits) in rows {
        let Ok(query) = Query::new(conditions(field, text)) else {
            assert!(!fits, "{field} {text:?} was refused");
            continue;
        };
        assert_eq!(query.fits_name(name), fits, "{field} {text:?} {name:?}");
    }
}

#[test]
fn every_condition_must_hold() {
    let both = Conditions { substring: "a".into(), glob: "*.txt".into(), ..Conditions::default() };
    let query = Query::new(both).expect("valid");
    assert!(query.fits_name("a.txt") && !query.fits_name("b.txt") && !query.fits_name("a.csv"));
    assert!(query.finder().is_none());
}

#[test]
fn what_cannot_be_searched_for_is_refused_by_field() {
    let (long, nested) = ("x".repeat(1_025), format!("{}a{}", "{".repeat(500), "}".repeat(500)));
    assert_eq!(Query::new(Conditions::default()).expect_err("refused").field, "pattern");
    for field in ["name", "substring", "glob", "pattern", "content"] {
        assert_eq!(Query::new(conditions(field, &long)).expect_err("refused").field, field);
    }
    for field in ["glob", "pattern"] {
        for bad in ["[", "{a", "[z-a]", nested.as_str()] {
            assert_eq!(Query::new(conditions(field, bad)).expect_err(bad).field, field);
        }
    }
}

/// Begun anew at each byte, the search would compare a thousand times as many.
#[test]
fn what_almost_fits_everywhere_is_not_looked_at_again_and_again() {
    let query = Query::new(conditions("content", &format!("{}b", "a".repeat(1_000)))).expect("valid");
    let (mut finder, hay) = (query.finder().expect("content was given"), vec![b'a'; 1 << 20]);
    let started = std::time::Instant::now();
    assert!((0..8).all(|_| finder.feed(&hay).is_none()));
    assert_eq!(finder.feed(b"b"), Some(1));
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_condition_is_taken_or_refused_without_a_panic(text in "[a*?!\\[\\]{},\\\\^é-]{0,40}", name in "\\PC{0,20}") {
        for field in ["glob", "pattern"] {
            if let Ok(query) = Query::new(conditions(field, &text)) {
                query.fits_name(&name);
            }
        }
    }

    #[test]
    fn the_line_does_not_depend_on_the_pieces(hay in "[ab\n]{0,60}", text in "[ab\n]{1,5}", size in 1_usize..20) {
        let query = Query::new(conditions("content", &text)).expect("valid");
        let mut finder = query.finder().expect("content was given");
        let found = hay.as_bytes().chunks(size).find_map(|piece| finder.feed(piece));
        let expected = hay.find(&text).map(|at| hay[..at].matches('\n').count() as i32 + 1);
        prop_assert_eq!(found, expected);
    }
}
