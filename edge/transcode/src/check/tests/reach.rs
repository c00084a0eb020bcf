//! What no request can reach, and what one can.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::table::Match;

/// Of these templates, as GET unless they say otherwise, those told to be out of reach.
fn unreachable(rules: &[&str]) -> Vec<String> {
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| {
            let (kind, path) = rule.split_once(' ').unwrap_or(("GET", rule));
            format!(r#"custom {{ kind: "{kind}" path: "{path}" }}"#)
        })
        .collect();
    let found = findings(&rules.iter().map(String::as_str).collect::<Vec<_>>(), Clashes::First);
    let told = found.iter().filter(|line| line.contains("[unreachable]"));
    told.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn only_what_is_always_taken_by_others() {
    for (rules, expected) in [
        (&["/a/{id}", "/a/b", "/{here=**}", "* /a/{id}"][..], &[][..]),
        // One segment goes to the first, more to the second.
        (&["/a/*", "/a/**/*/*", "/a/**/*"], &["GET /a/**/*"]),
        (&["* /a/*", "* /a/**/*/*", "/a/**/*"], &["GET /a/**/*"]),
        // Another method, a verb or a literal in the way is not enough.
        (&["/a/*", "POST /a/**/*/*", "/a/**/*"], &[]),
        (&["/a/*:go", "/a/**/*/*:go", "/a/**/*"], &[]),
        (&["/a/*", "/a/**/*/b", "/a/**/*"], &[]),
        // `**` at the end alone matches a path that ends in a slash.
        (&["/a", "/a/**/*", "/a/**"], &[]),
        (&["/", "/**/*", "/*/**", "/**"], &["GET /**/*", "GET /**"]),
        // GET stands in for HEAD, but not the other way round.
        (&["/a/*", "/a/**/*/*", "HEAD /a/**/*"], &["HEAD /a/**/*"]),
        (&["HEAD /a/*", "HEAD /a/**/*/*", "/a/**/*"], &[]),
        // Every method is more than GET.
        (&["/a/*", "/a/**/*/*", "* /a/**/*"], &[]),
    ] {
        assert_eq!(unreachable(rules), expected, "{rules:?}");
    }
}

#[test]
fn those_in_the_way_are_named() {
    let rules = [r#"get: "/a/*""#, r#"get: "/a/**/*/*""#, r#"get: "/a/**/*""#];
    assert_eq!(
        findings(&rules, Clashes::Refuse),
        [
            "test.proto:28: warning[unreachable]: t.S.M2: \"GET /a/**/*\": no request reaches it: \"GET /a/*\" of t.S.M0, \
          \"GET /a/**/*/*\" of t.S.M1 come first; make its path more specific, or leave it out"
        ]
    );
}

/// Firestore's GetDocument and ListDocuments: which one is meant, only the number of segments could tell.
#[test]
fn what_is_reached_by_an_empty_rest_alone_is_told_apart() {
    let rules = [r#"get: "/docs/{id=**}""#, r#"get: "/docs/{id=**}/{here}""#];
    assert_eq!(
        findings(&rules, Clashes::Refuse),
        [
            "test.proto:26: warning[shadowed]: t.S.M0: \"GET /docs/{id=**}\": no request in which ** is a segment or more \
          reaches it: \"GET /docs/{id=**}/{here}\" of t.S.M1 come first; make its path more specific, or leave it out"
        ]
    );
}

fn templates() -> impl Strategy<Value = BTreeSet<String>> {
    let segment = prop_oneof![Just("*"), Just("*"), Just("a")];
    let template = (proptest::collection::vec(segment, 0..3), proptest::option::weighted(0.7, 0..3_usize)).prop_map(
        |(mut segments, multi)| {
            if let Some(at) = multi {
                segments.insert(at.min(segments.len()), "**");
            }
            format!("/{}", segments.join("/"))
        },
    );
    proptest::collection::btree_set(template, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against all short paths: whatever one of them reaches was not told, and whatever none reaches was.
    #[test]
    fn agrees_with_trying_every_path(rules in templates()) {
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let told: BTreeSet<_> = unreachable(&rules).into_iter().collect();
        let parsed = rules.iter().map(|text| Rule {
            http_method: "GET".to_owned(),
            template: Template::parse(text).unwrap(),
            required_query: Vec::new(),
            value: (),
        });
        let (table, _) = Table::build(parsed.collect(), Prefer::First);
        let mut reached = BTreeSet::new();
        let mut paths = vec![String::new()];
        for _ in 0..6 {
            let longer = |path: &String| ["/a", "/b"].map(|segment| format!("{path}{segment}"));
            for path in &paths {
                for path in [path.clone(), format!("{path}/")] {
                    if let Ok(Match { rule, .. }) = table.find("GET", &path, |_| false) {
                        reached.insert(format!("GET {}", rule.template));
                    }
                }
            }
            paths = paths.iter().flat_map(longer).collect();
        }
        let missed: BTreeSet<_> =
            rules.iter().map(|rule| format!("GET {rule}")).filter(|rule| !reached.contains(rule)).collect();
        prop_assert_eq!(told, missed);
    }
}
