use proptest::prelude::*;

use super::*;
use crate::table::Prefer;

fn table(rules: &[&str]) -> Table<String> {
    let rules = rules.iter().enumerate().map(|(at, text)| {
        let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Rule {
            http_method: method.to_owned(),
            template: Template::parse(path).unwrap(),
            required_query: query.split('&').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            value: format!("M{at}"),
        }
    });
    Table::build(rules.collect(), Prefer::First).0
}

fn explained(rules: &[&str], method: &str, target: &str) -> String {
    explain(&table(rules), method, target, false, Keep::Slash, |rule| rule.value.clone(), bound).to_string()
}

/// The variables alone, but for a query that is `wrong`.
fn bound(rule: &Rule<String>, texts: &[Cow<'_, str>], query: &str) -> Result<Vec<Bound>, Vec<Violation>> {
    if query == "wrong" {
        return Err(vec![Violation::new("wrong", "is no field"), Violation::new("", "all of it")]);
    }
    let bound = |(variable, text): (&Variable, &Cow<'_, str>)| Bound {
        field: variable.field_path.clone(),
        value: text.clone().into_owned().into(),
    };
    Ok(rule.template.variables.iter().zip(texts).map(bound).collect())
}

#[test]
fn tells_the_winner_its_bindings_and_why_others_lost() {
    let rules = [
        "/v1/items/{id}",
        "/v1/items/all",
        "POST /v1/items/{id}",
        "* /v1/items/{id}",
        "/v1/items/{id}?full",
        "/v1/items/{name=**}",
        "/v1/items/{id}:go",
        "/v1/items/{id}/parts",
        "/v1/{p=**}/items",
        "/v2/items/{id}",
        "/v1/items/{other}",
    ];
    assert_eq!(
        explained(&rules, "GET", "/v1/items/a%2Fb?x=1"),
        r#"GET /v1/items/a%2Fb
  goes to "GET /v1/items/{id}" of M0
    id = "a/b"
  not "* /v1/items/{id}" of M3: it matches too, but GET comes before * for GET
  not "GET /v1/items/{other}" of M10: it matches too, but it is the same route, and gave way
  not "POST /v1/items/{id}" of M2: its method is POST
  not "GET /v1/items/{id}?full" of M4: it requires the query parameter "full"
  not "GET /v1/items/{name=**}" of M5: it matches too, but at segment 3 * comes before **
  not "GET /v1/items/{id}:go" of M6: the path does not end in ":go"
  not "GET /v1/items/{id}/parts" of M7: the path has 3 segments, not 4
  not "GET /v1/items/all" of M1: segment 3 is "a%2Fb", not "all"
  not "GET /v1/{p=**}/items" of M8: segment 3 is "a%2Fb", not "items"
"#
    );
}

#[test]
fn tells_precedence() {
    for (rules, target, expected) in [
        (["/a/{b}", "/a/b"], "/a/b", "at segment 2 \"b\" comes before *"),
        (["/a/{p=**}", "/a/{p=**}/c"], "/a/b/c", "the winner says more of the path's end"),
        (["/a/{p=**}", "/a/{p=**}:go"], "/a/b:go", "a verb of its own comes before reading the colon as text"),
        (["/a/{p=**}", "/a"], "/a", "the winner's path ends where this one has **"),
        (["/a", "/a?q"], "/a?q=1", "the winner requires other query parameters, of which the most come first"),
        (["/{p=**}/b/*", "/{p=**}/*/c"], "/b/c", "at segment 2 \"b\" comes before *"),
    ] {
        let text = explained(&rules, "GET", target);
        assert!(text.contains(&format!("it matches too, but {expected}\n")), "{text}");
    }
}

#[test]
fn tells_what_goes_nowhere() {
    let rules = ["/a/{id}", "PUT /a/{p=**}/z"];
    assert_eq!(
        explained(&rules, "POST", "/a/b"),
        "POST /a/b\n  405: this path has GET, HEAD, OPTIONS only\n  not \"GET /a/{id}\" of M0: its method is GET\n  not \
         \"PUT /a/{p=**}/z\" of M1: segment 2 is \"b\", not \"z\"\n"
    );
    assert_eq!(
        explained(&rules, "GET", "/a"),
        "GET /a\n  404: no rule has this path\n  not \"GET /a/{id}\" of M0: the path has 1 segments, not 2\n  not \"PUT \
         /a/{p=**}/z\" of M1: the path has 1 segments, not at least 2\n"
    );
    assert!(explained(&rules, "GET", "/a/%zz").contains("400: there is a malformed '%' at byte 3"));
    assert!(explained(&rules, "GET", "/a/%ff").contains("    400: id: the path is not UTF-8 after percent-decoding\n"));
    assert!(
        explained(&rules, "GET", "/a/b?wrong").contains("of M0\n    400: wrong: is no field\n    400: all of it\n")
    );
    assert!(explained(&rules, "OPTIONS", "/a/b").contains("204: this path has GET, HEAD, OPTIONS\n"));
    assert_eq!(explained(&rules, "GET", "/x"), "GET /x\n  404: no rule has this path\n");
}

#[test]
fn only_those_that_came_close_are_told() {
    let rules: Vec<_> = (0..50).map(|at| format!("/a/l{at}")).collect();
    let rules: Vec<_> = rules.iter().map(String::as_str).collect();
    let text = explained(&rules, "GET", "/a/l7");
    assert_eq!(text.matches("  not ").count(), LOSERS_MAX);
    assert!(text.ends_with("  and 29 more whose paths begin alike\n"), "{text}");
}

#[test]
fn tools_can_read_it() {
    let found = explain(&table(&["/a/{id}"]), "GET", "/a/b/", true, Keep::Slash, |_| "M".to_owned(), bound);
    assert_eq!(
        serde_json::to_string(&found).unwrap(),
        r#"{"method":"GET","path":"/a/b","outcome":{"status":"found","rule":"\"GET /a/{id}\" of M","bindings":[{"field":"id","value":"b"}],"violations":[]},"losers":[],"left_out":0}"#
    );
}

proptest! {
    /// A rule fits by itself exactly when the table finds it.
    #[test]
    fn agrees_with_the_table(
        template in "(/(a|b|\\*)){0,3}(/\\*\\*)?(/(a|b|\\*)){0,2}(:a)?",
        path in "(/(a|b|c)){0,5}/?(:a){0,2}",
    ) {
        prop_assume!(path.starts_with('/') && !path.contains("//"));
        let Ok(parsed) = Template::parse(&template) else { return Ok(()) };
        let found = table(&[&template]).find("GET", &path, |_| false).is_ok();
        prop_assert_eq!(fit(&parsed, &path).is_ok(), found, "{:?}", fit(&parsed, &path));
    }
}
