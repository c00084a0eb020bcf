use proptest::prelude::*;

use super::*;

fn draft(email: &str, comment: &str, content_id: &str) -> Result<Draft, Invalid> {
    Draft::new(email.into(), comment.into(), content_id.into())
}

#[test]
fn a_comment_is_kept_as_it_came() {
    let kept = draft("ana+x@example.com", "  ¡Qué bien! \n", "ñ/1").expect("valid");
    assert_eq!((kept.comment.as_str(), kept.content_id.as_str()), ("  ¡Qué bien! \n", "ñ/1"));
}

#[test]
fn the_longest_are_taken_and_one_more_is_refused_by_field() {
    let email = |chars: usize| format!("{}@{}{}", "a".repeat(64), "b.".repeat(90), "c".repeat(chars - 64 - 1 - 180));
    assert!(draft(&email(254), "x", "1").is_ok());
    assert_eq!(draft(&email(255), "x", "1").expect_err("refused").field, "email");
    assert!(draft("a@example.com", &"ñ".repeat(4_000), &"ñ".repeat(128)).is_ok());
    assert_eq!(draft("a@example.com", &"ñ".repeat(4_001), "1").expect_err("refused").field, "comment");
    assert_eq!(draft("a@example.com", "x", &"ñ".repeat(129)).expect_err("refused").field, "content_id");
}

#[test]
fn what_is_no_comment_is_refused_by_field() {
    let rows = [
        ("", "x", "1", "email"),
        ("ana", "x", "1", "email"),
        ("ana@", "x", "1", "email"),
        ("@example.com", "x", "1", "email"),
        ("ana@ana@example.com", "x", "1", "email"),
        ("ana@exa mple.com", "x", "1", "email"),
        ("ana@example..com", "x", "1", "email"),
        ("Ana <ana@example.com>", "x", "1", "email"),
        ("ana@example.com\r\nBcc: b@example.com", "x", "1", "email"),
        ("ana@example.com", "", "1", "comment"),
        ("ana@example.com", " \n\t\u{a0}", "1", "comment"),
        ("ana@example.com", "a\0b", "1", "comment"),
        ("ana@example.com", "x", "", "content_id"),
        ("ana@example.com", "x", "\0", "content_id"),
    ];
    for (email, comment, id, field) in rows {
        assert_eq!(draft(email, comment, id).expect_err("refused").field, field, "{email:?} {comment:?} {id:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused_without_a_panic(email in "\\PC{0,40}@?\\PC{0,40}", comment in "\\PC{0,40}", id in "\\PC{0,9}") {
        if let Ok(kept) = draft(&email, &comment, &id) {
            prop_assert_eq!((kept.email, kept.comment, kept.content_id), (email, comment, id));
        }
    }
}

#[test]
fn a_watch_goes_on_from_a_comment_by_its_id() {
    assert_eq!(position("").expect("none"), None);
    assert_eq!((position("0").expect("all"), position("17").expect("one")), (Some(0), Some(17)));
    for id in ["-1", "x", "1.5", "9223372036854775808"] {
        assert_eq!(position(id).expect_err("refused").field, "after_id", "{id}");
    }
}
