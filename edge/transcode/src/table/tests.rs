use std::cell::Cell;

use proptest::prelude::*;

use super::*;

mod peers;

thread_local! {
    /// How many nodes the last search on this thread went through.
    pub(super) static VISITS: Cell<usize> = const { Cell::new(0) };
}

/// Every template as GET, `POST /x` as another method, with its text as the value.
fn table(rules: &[impl AsRef<str>]) -> Table<String> {
    let (table, clashes) = Table::build(rules.iter().map(|text| rule(text.as_ref(), &[])).collect(), Prefer::First);
    assert_eq!(clashes, []);
    table
}

fn rule(text: &str, required: &[&str]) -> Rule<String> {
    let (method, template) = text.split_once(' ').unwrap_or(("GET", text));
    Rule {
        http_method: method.to_owned(),
        template: Template::parse(template).unwrap(),
        required_query: required.iter().map(|name| (*name).to_owned()).collect(),
        value: text.to_owned(),
    }
}

/// `template: raw variables`, or the status and what belongs to it.
fn find(table: &Table<String>, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match table.find(method, path, |name| query.split('&').any(|given| given == name)) {
        Ok(found) => {
            let texts: Vec<_> = found.captures().map(|(_, text)| text).collect();
            format!("{}: {}", found.rule.value, texts.join(", ")).trim().to_owned()
        }
        Err(Miss::Malformed { at }) => format!("400 {at}"),
        Err(Miss::Path) => "404".to_owned(),
        Err(Miss::Method { allow }) => format!("405 {}", allow.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// Each row in the table of these rules, in both orders.
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
        &[
            ("GET /meth/x", "GET /meth/{id}: x"),
            ("PUT /meth/x", "405 GET, HEAD, OPTIONS, POST"),
            ("PUT /meth/y", "405 GET, HEAD, OPTIONS"),
        ],
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
            ("GET /items:batch", "405 OPTIONS, POST"),
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
        &[("HEAD /a", "/a:"), ("HEAD /b", "405 OPTIONS, POST"), ("HEAD /c", "HEAD /c:")],
    );
}

#[test]
fn literals_match_percent_normalised() {
    check(&["/a-b/{x}"], &[("/a%2Db/1", "/a-b/{x}: 1"), ("/a%2db/%2F", "/a-b/{x}: %2F")]);
}

#[test]
fn rule_with_most_required_parameters_wins() {
    let rules = [&[][..], &["a"], &["b", "a"]].map(|required| rule("/active", required));
    let (table, _) = Table::build(rules.to_vec(), Prefer::First);
    let required = |query: &str| {
        let found = table.find("GET", "/active", |name| query.split('&').any(|given| given == name)).unwrap();
        found.rule.required_query.join("+")
    };
    assert_eq!([required("a&b"), required("a"), required("b"), required("")], ["a+b", "a", "", ""]);
    let (table, _) = Table::build(vec![rule("/active", &["a"]), rule("POST /active", &[])], Prefer::First);
    assert_eq!(find(&table, "/active"), "405 OPTIONS, POST");
    assert_eq!(find(&table, "HEAD /active?a"), "/active:");
}

/// D15, and the opt-ins of item 21.
#[test]
fn same_shape_twice_is_told() {
    let rules = || vec![rule("/items/{id}", &[]), rule("/x", &[]), rule("/items/{name=*}", &[])];
    let (table, clashes) = Table::build(rules(), Prefer::First);
    assert_eq!(clashes, [Clash { kept: 0, dropped: 2 }]);
    assert_eq!(find(&table, "/items/a"), "/items/{id}: a");
    let (table, clashes) = Table::build(rules(), Prefer::Last);
    assert_eq!(clashes, [Clash { kept: 2, dropped: 0 }]);
    assert_eq!(find(&table, "/items/a"), "/items/{name=*}: a");
    for other in [rule("POST /x", &[]), rule("/x", &["q"]), rule("/x:go", &[]), rule("* /x", &[])] {
        assert_eq!(Table::build(vec![rule("/x", &[]), other], Prefer::First).1, []);
    }
}

/// D1, D2, D4, items 32 to 37: each capture is decoded once, on its own.
#[test]
fn captures_are_decoded_once() {
    let table = table(&["/items/{id}", "/files/{path=**}", "/two/{p=a/*}"]);
    let decoded = |path: &str, keep| {
        let found = table.find("GET", path, |_| false).unwrap();
        let mut texts = found.variables(keep).map(|(variable, text)| (variable.field_path.as_str(), text));
        let (name, text) = texts.next().unwrap();
        format!("{name}={}", text.map_or_else(|error| error.to_string(), Cow::into_owned))
    };
    for (path, expected) in [
        ("/items/a%2Fb", "id=a/b"),
        ("/items/a%252Fb", "id=a%2Fb"),
        ("/items/%2e%2e", "id=.."),
        ("/items/a+b", "id=a+b"),
        ("/items/%00", "id=\0"),
        ("/items/%ff", "id=is not UTF-8 after percent-decoding"),
        ("/files/c%20d%3A", "path=c d:"),
        ("/files/a%2fb", "path=a%2fb"),
        ("/files/a/b%40", "path=a/b@"),
        ("/two/a/b%2Fc%20", "p=a/b%2Fc "),
    ] {
        assert_eq!(decoded(path, Keep::Slash), expected, "{path}");
    }
    assert_eq!(decoded("/files/c%20d%3A", Keep::Reserved), "path=c d%3A");
    assert_eq!(decoded("/files/a%2fb", Keep::Nothing), "path=a/b");
}

/// D3: whatever the path would otherwise have come to.
#[test]
fn malformed_escape_is_an_outcome_of_its_own() {
    check(
        &["/items/{id}"],
        &[("/items/a%zz", "400 8"), ("/nothing/%4", "400 9"), ("/items/a%7A", "/items/{id}: a%7A")],
    );
}

/// D5, D6, D9, item 26.
#[test]
fn slashes_count() {
    check(
        &["/items/{id}", "/bt/a/{id}/x", "/f/{p=**}", "/"],
        &[
            ("/items/a/", "404"),
            ("/items/", "404"),
            ("/bt/a//x", "404"),
            ("//", "404"),
            ("/f//a", "404"),
            ("/f/a/", "/f/{p=**}: a/"),
            ("", "404"),
            ("*", "404"),
        ],
    );
}

/// A table in which as many ways as possible fail late, and paths that try them all.
#[test]
fn no_path_makes_the_search_long() {
    let mut rules: Vec<String> = (0..1 << 8)
        .map(|mask| {
            let segment = |bit| if mask >> bit & 1 == 0 { "a".to_owned() } else { format!("{{v{bit}}}") };
            format!("/{}/end", (0..8).map(segment).collect::<Vec<_>>().join("/"))
        })
        .collect();
    rules.extend((0..20).map(|tail| format!("/a/{{p=**}}{}/end:go", "/*/a".repeat(tail))));
    let table = table(&rules);
    let bound = 2 * table.nodes.len() * (20 + 1);
    for length in [8, 9, 50, 50_000] {
        let path = format!("{}:go:go", "/a".repeat(length));
        assert_eq!(find(&table, &path), "404");
        assert!(VISITS.get() <= bound, "{} of {bound} for {length} segments", VISITS.get());
    }
}

/// The same answer as trying every rule by itself.
fn matches_alone(text: &str, path: &str) -> bool {
    find(&table(&[text]), path).starts_with(text)
}

fn segments() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => Just("*"), 4 => "[ab]".prop_map(|text| if text == "a" { "a" } else { "b" })];
    (proptest::collection::vec(segment, 0..5), proptest::option::of(0..5_usize), proptest::option::of("[ab]")).prop_map(
        |(mut segments, multi, verb)| {
            if let Some(at) = multi {
                segments.insert(at.min(segments.len()), "**");
            }
            let verb = verb.filter(|_| !segments.is_empty()).map_or(String::new(), |verb| format!(":{verb}"));
            format!("/{}{verb}", segments.join("/"))
        },
    )
}

/// What comes first in the order of precedence: per segment of the path literal, `*`, `**`; a verb; the longer tail.
/// For templates that both match and read the path's last colon alike.
fn precedence(template: &str) -> Vec<usize> {
    let template = Template::parse(template).unwrap();
    let count = template.segments.len();
    let mut ranks: Vec<usize> = Vec::new();
    for (at, segment) in template.segments.iter().enumerate() {
        match segment {
            Segment::Literal(_) => ranks.push(1),
            Segment::Single => ranks.push(2),
            Segment::Multi => ranks.extend([3, 99 - (count - at - 1)]),
        }
    }
    ranks
}

proptest! {
    /// Trying every rule by itself, and taking the first in the order of precedence, gives the same; in any order.
    #[test]
    fn search_is_what_trying_each_rule_gives(
        rules in proptest::collection::btree_set(segments(), 1..12),
        path in "(/[abc]){0,6}/?(:[ab]){0,2}",
        turn in 0..12_usize,
    ) {
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let mut rules: Vec<String> = rules.into_iter().collect();
        let at = turn % rules.len();
        rules.rotate_left(at);
        let found = find(&table(&rules), &path);
        let alone: Vec<_> = rules.iter().filter(|rule| matches_alone(rule, &path)).collect();
        prop_assert_eq!(found == "404", alone.is_empty(), "{}", found);
        let colon = path.contains(':');
        if let Some(best) = alone.iter().min_by_key(|rule| precedence(rule)).filter(|_| !colon) {
            prop_assert_eq!(found.split(": ").next().unwrap().trim_end_matches(':'), best.as_str());
        }
        rules.reverse();
        prop_assert_eq!(find(&table(&rules), &path), found);
    }

    /// A path made from a template by filling its variables comes back to it, with their values.
    #[test]
    fn synthesised_path_returns_its_variables(
        template in segments(),
        single in "[a-z0-9.~%-]{1,6}".prop_map(|text| text.replace('%', "%2F")),
        multi in proptest::collection::vec("[a-z0-9]{1,5}", 0..4),
    ) {
        let mut names = 0..;
        let segments = template.split('/').skip(1).map(|segment| match segment.split_once(':').unwrap_or((segment, "")) {
            (pattern @ ("*" | "**"), verb) => {
                let verb = if verb.is_empty() { String::new() } else { format!(":{verb}") };
                format!("{{v{}={pattern}}}{verb}", names.next().unwrap_or(0))
            }
            _ => segment.to_owned(),
        });
        let template = format!("/{}", segments.collect::<Vec<_>>().join("/"));
        let parsed = Template::parse(&template).unwrap();
        let path = parsed.fill(&single, &multi.join("/"));
        let table = table(&[template]);
        let found = table.find("GET", &path, |_| false).unwrap();
        for (variable, text) in found.captures() {
            prop_assert_eq!(text, if variable.multi { multi.join("/") } else { single.clone() }, "{}", path);
        }
    }

    /// No path makes the search fail in any way but by answering.
    #[test]
    fn any_path_is_answered(path in "/?[a-z/:%*{}.é]{0,30}") {
        let table = table(&["/a/{b}/c", "/{p=**}/c:d", "/a/b:c", "/{q=**}"]);
        if let Ok(found) = table.find("GET", &path, |_| false) {
            prop_assert!(found.captures().all(|(_, text)| path.contains(text)));
        }
    }
}
