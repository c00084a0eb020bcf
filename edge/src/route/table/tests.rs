use proptest::prelude::*;

use super::*;

/// Every template once as GET, with its text as the value; `POST /x` sets another method.
fn table(rules: &[&str]) -> Table<()> {
    let mut table = Table::default();
    for text in rules {
        table.insert(rule(text, &[])).unwrap();
    }
    table
}

fn rule(text: &str, required: &[&str]) -> Rule<()> {
    let (method, template) = text.split_once(' ').unwrap_or(("GET", text));
    Rule {
        http_method: method.to_owned(),
        template: Template::parse(template).unwrap(),
        required_query: required.iter().map(|name| (*name).to_owned()).collect(),
        rpc: text.to_owned(),
        value: (),
    }
}

/// `template: variables`, `404`, or `405 methods`.
fn find(table: &Table<()>, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match table.find(method, path, |name| query.split('&').any(|given| given == name)) {
        Ok(found) => format!("{}: {}", found.rule.rpc, found.variables.join(", ")).trim().to_owned(),
        Err(Miss::Path) => "404".to_owned(),
        Err(Miss::Method { allow }) => format!("405 {}", allow.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

fn check(rules: &[&str], rows: &[(&str, &str)]) {
    let mut reversed = rules.to_vec();
    reversed.reverse();
    for rules in [rules.to_vec(), reversed] {
        let table = table(&rules);
        for (request, expected) in rows {
            assert_eq!(find(&table, request), *expected, "{request} in {rules:?}");
        }
    }
}

#[test]
fn literal_beats_single_beats_multi_in_any_order() {
    check(
        &["/v1/items/{id}", "/v1/items/all", "/v1/{rest=**}", "/"],
        &[
            ("/v1/items/all", "/v1/items/all:"),
            ("/v1/items/a", "/v1/items/{id}: a"),
            ("/v1/items/a/b", "/v1/{rest=**}: items/a/b"),
            ("/v1", "/v1/{rest=**}:"),
            ("/", "/:"),
            ("/v2", "404"),
        ],
    );
}

#[test]
fn search_backtracks() {
    check(
        &["/bt/a/{id}/x", "/bt/{name}/b/y"],
        &[("/bt/a/b/y", "/bt/{name}/b/y: a"), ("/bt/a/b/x", "/bt/a/{id}/x: b"), ("/bt/a/b/z", "404")],
    );
}

#[test]
fn specific_route_without_the_method_does_not_hide_another() {
    check(
        &["POST /meth/x", "GET /meth/{id}"],
        &[("GET /meth/x", "GET /meth/{id}: x"), ("PUT /meth/x", "405 GET, POST"), ("PUT /meth/y", "405 GET")],
    );
}

#[test]
fn double_star_takes_zero_or_more_anywhere() {
    check(
        &["/v1/deep/{path=**}", "/mid/{path=**}/tail", "/two/{p=**}/{c}", "/w/{p=a/**}/z:go"],
        &[
            ("/v1/deep", "/v1/deep/{path=**}:"),
            ("/v1/deep/", "/v1/deep/{path=**}:"),
            ("/v1/deep/a/b", "/v1/deep/{path=**}: a/b"),
            ("/mid/tail", "/mid/{path=**}/tail:"),
            ("/mid/a/tail/tail", "/mid/{path=**}/tail: a/tail"),
            ("/mid/a", "404"),
            ("/two/a/b/c", "/two/{p=**}/{c}: a/b, c"),
            ("/two/c", "/two/{p=**}/{c}: , c"),
            ("/w/a/b/c/z:go", "/w/{p=a/**}/z:go: a/b/c"),
        ],
    );
}

#[test]
fn tail_after_double_star_is_more_specific() {
    check(
        &["/f/{path=**}", "/f/{path=**}/meta", "/f/{path=**}:stat"],
        &[
            ("/f/a/meta", "/f/{path=**}/meta: a"),
            ("/f/a/b:stat", "/f/{path=**}:stat: a/b"),
            ("/f/a/b:other", "/f/{path=**}: a/b:other"),
            ("/f:stat", "/f/{path=**}:stat:"),
        ],
    );
}

#[test]
fn single_never_matches_empty() {
    check(
        &["/items/{id}", "/shelves/{s}/books/x"],
        &[("/items/", "404"), ("/shelves//books/x", "404"), ("/items", "404")],
    );
}

#[test]
fn verbs_belong_to_their_own_node() {
    check(
        &["/items/{id}", "/items/{id}:go", "/other/{id}", "POST /items:batch"],
        &[
            ("/items/a:go", "/items/{id}:go: a"),
            ("/items/a:b", "/items/{id}: a:b"),
            ("/items/x:y:go", "/items/{id}:go: x:y"),
            ("/other/a:go", "/other/{id}: a:go"),
            ("/items/a%3Ago", "/items/{id}: a%3Ago"),
            ("POST /items:batch", "POST /items:batch:"),
            ("GET /items:batch", "405 POST"),
        ],
    );
}

#[test]
fn any_method_loses_to_an_exact_one_and_takes_verbs() {
    check(
        &["* /any/{id}", "PUT /any/{id}", "* /any/{id}:go"],
        &[
            ("PUT /any/a", "PUT /any/{id}: a"),
            ("PROPFIND /any/a", "* /any/{id}: a"),
            ("GET /any/a:go", "* /any/{id}:go: a"),
            ("PUT /any/q:go", "* /any/{id}:go: q"),
        ],
    );
}

#[test]
fn head_is_derived_from_get() {
    check(
        &["/a", "POST /b", "HEAD /c", "GET /c"],
        &[("HEAD /a", "/a:"), ("HEAD /b", "405 POST"), ("HEAD /c", "HEAD /c:")],
    );
}

#[test]
fn literals_match_percent_normalised() {
    check(&["/a-b/{x}"], &[("/a%2Db/1", "/a-b/{x}: 1"), ("/a%2db/%2F", "/a-b/{x}: %2F")]);
}

#[test]
fn rule_with_most_required_parameters_wins() {
    let mut table = Table::default();
    for required in [&[][..], &["a"], &["b", "a"]] {
        table.insert(rule("/active", required)).unwrap();
    }
    let required = |query: &str| {
        let found = table.find("GET", "/active", |name| query.split('&').any(|given| given == name)).unwrap();
        found.rule.required_query.join("+")
    };
    assert_eq!([required("a&b"), required("a"), required("b"), required("")], ["a+b", "a", "", ""]);
}

#[test]
fn same_shape_twice_is_a_conflict_that_names_the_other() {
    let mut table = table(&["/items/{id}"]);
    let conflict = table.insert(rule("/items/{name=*}", &[])).unwrap_err();
    assert_eq!(conflict.to_string(), "is the same route as \"GET /items/{id}\" of /items/{id}");
    assert!(table.insert(rule("POST /items/{id}", &[])).is_ok());
    assert!(table.insert(rule("/items/{id}", &["q"])).is_ok());
}

proptest! {
    /// A path made from a template by filling its variables matches it and gives the same values back.
    #[test]
    fn synthesised_path_returns_its_variables(
        first in "[a-z%0-9]{0}[a-z0-9.~-]{1,8}",
        rest in proptest::collection::vec("[a-z0-9.~-]{1,5}", 0..5),
        last in "[a-z0-9]{1,5}",
    ) {
        let table = table(&["/v1/{a}/mid/{b=**}/end/{c}:go", "/v1/{a=**}"]);
        let path = ["v1", &first, "mid"].into_iter().chain(rest.iter().map(String::as_str)).chain(["end", &last]);
        let path = format!("/{}:go", path.collect::<Vec<_>>().join("/"));
        let found = table.find("GET", &path, |_| false).unwrap();
        prop_assert_eq!(found.variables, vec![first, rest.join("/"), last]);
    }

    /// No path makes the search fail in any way but by answering.
    #[test]
    fn any_path_is_answered(path in "/[a-z/:%*{}.]{0,30}") {
        let table = table(&["/a/{b}/c", "/{p=**}/c:d", "/a/b:c"]);
        let _ = table.find("GET", &path, |_| false);
    }
}
