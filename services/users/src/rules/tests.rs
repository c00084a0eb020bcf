use proptest::prelude::*;

use super::*;

fn profile(username: &str, email: &str, first_name: &str) -> Profile {
    let own = str::to_owned;
    Profile { username: own(username), email: own(email), first_name: own(first_name), last_name: String::new() }
}

#[test]
fn what_the_contract_allows_is_accepted() {
    let (long, hundred) = ("ñ".repeat(64), "x".repeat(100));
    let rows = [
        ("a", "a@b", ""),
        ("Ana-María_3.x@home", "ana.maria+beer@example.com", "Ana María"),
        (&*long, "\"a b\"@example.com", &*hundred),
        ("名前", "ü@пример.com", "名"),
    ];
    for (username, email, first) in rows {
        assert_eq!(profile(username, email, first).check(), Ok(()), "{username} {email}");
    }
}

#[test]
fn what_is_no_account_is_refused_by_field() {
    let (long, name) = ("x".repeat(65), "x".repeat(101));
    let address = format!("{}@{}.com", "x".repeat(64), "y.".repeat(94));
    let rows = [
        ("", "a@b.com", "", "username"),
        ("a b", "a@b.com", "", "username"),
        ("a/b", "a@b.com", "", "username"),
        ("a\n", "a@b.com", "", "username"),
        (&*long, "a@b.com", "", "username"),
        ("a", "", "", "mail"),
        ("a", "nobody", "", "mail"),
        ("a", "@b.com", "", "mail"),
        ("a", "Ana <a@b.com>", "", "mail"),
        ("a", &*address, "", "mail"),
        ("a", "a@b.com", &*name, "first_name"),
        ("a", "a@b.com", "a\0", "first_name"),
    ];
    for (username, email, first, field) in rows {
        assert_eq!(profile(username, email, first).check().expect_err(email).field, field, "{username} {email}");
    }
}

#[test]
fn passwords_need_length_and_three_kinds_of_character() {
    let (most, over) = (format!("Aa1{}", "x".repeat(125)), format!("Aa1{}", "x".repeat(126)));
    for good in ["Aa1xyz", "Ñandú7x", "Aa1 with spaces", &most] {
        assert_eq!(password(good), Ok(()), "{good}");
    }
    for bad in ["", "Aa1xy", "aa1xyz", "AA1XYZ", "Aaxxyz", "123456", &over] {
        assert_eq!(password(bad).expect_err(bad).field, "password");
    }
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(text in "\\PC{0,140}") {
        let _ = (profile(&text, &text, &text).check(), password(&text));
    }

    #[test]
    fn case_makes_no_other_account(name in "[a-zA-ZñÑüÜ0-9]{1,20}") {
        prop_assert_eq!(folded(&name.to_uppercase()), folded(&name));
    }
}
