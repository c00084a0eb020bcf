//! GoogleCloudPlatform/esp-v2, `src/go/util/httppattern`.

use crate::support::{Rows, alone, parsed, routed};

/// `uri_template_parser_test.go`, but for what it has from grpc-httpjson-transcoding and `src/template/tests.rs` has too.
const TEMPLATES: Rows = &[
    ("/a/{var=b}", "/a/b var=b"),
    ("/a/{var=b/c/d}", "/a/b/c/d var=b/c/d"),
    ("/*/**", "/*/**"),
    ("/a/{a.b.c}", "/a/* a.b.c=*"),
    ("/a/{b=c/*}", "/a/c/* b=c/*"),
    ("/a/{b=c/**}", "/a/c/** b=c/**"),
    ("/a/{b=c/*/d}/e:verb", "/a/c/*/d/e:verb b=c/*/d"),
    ("/*:verb", "/*:verb"),
    ("/**:verb", "/**:verb"),
    ("/{a}:verb", "/*:verb a=*"),
    ("/a/b/*:verb", "/a/b/*:verb"),
    ("/a/b/**:verb", "/a/b/**:verb"),
    ("/{x.y.z}", "/* x.y.z=*"),
    ("/{x=a/*}", "/a/* x=a/*"),
    ("/{x.y.z=**}:myverb", "/**:myverb x.y.z=**"),
    ("/{x.y.z=a/**/b}/c/d", "/a/**/b/c/d x.y.z=a/**/b"),
    ("/$discovery", "/$discovery"),
    ("/a/**/*", "/a/**/*"), // theirs refused: item 10, D8
    ("/{{", "refused"),
    ("/{{var}}", "refused"),
    ("/{var}::", "refused"),
    ("/{var/a", "refused"),
    ("/a/b/:", "refused"),
    ("/a/{b=*}/**:", "refused"),
    ("{x=/a/b}", "refused"),
    ("a/{x}/b:verb", "refused"),
    ("/{x}a", "refused"),
    ("/a/{x}b/s", "refused"),
];

#[test]
fn templates() {
    for (text, expected) in TEMPLATES {
        assert_eq!(parsed(text), *expected, "{text}");
    }
}

/// `sort_test.go`, `TestSort`: the order in which Envoy is to try patterns. Here the rules, in any order, and for each a
/// path that it alone should get.
const ORDERS: &[(&[&str], Rows)] = &[
    (&["/**", "/**/a", "/**:verb"], &[("/x/a", "/**/a"), ("/x:verb", "/**:verb"), ("/x", "/**"), ("/a", "/**/a")]),
    (&["/foo", "/foo/a", "/foo:verb"], &[("/foo", "/foo"), ("/foo/a", "/foo/a"), ("/foo:verb", "/foo:verb")]),
    (&["/", "/**", "/foo"], &[("/", "/"), ("/foo", "/foo"), ("/bar", "/**")]),
    (
        &["/a/**/b/c", "/a/**/b", "/a/**", "/a/*/b/c", "/a/*/b", "/a/*", "/a/x/b/c", "/a/x/b", "/a/x", "/a"],
        &[
            ("/a", "/a"),
            ("/a/x", "/a/x"),
            ("/a/x/b", "/a/x/b"),
            ("/a/x/b/c", "/a/x/b/c"),
            ("/a/y", "/a/*"),
            ("/a/y/b", "/a/*/b"),
            ("/a/y/b/c", "/a/*/b/c"),
            ("/a/y/z/b", "/a/**/b"),
            ("/a/y/z/b/c", "/a/**/b/c"),
            ("/a/y/z", "/a/**"),
        ],
    ),
    (
        &[
            "/a/{y=*}:verb",
            "/a/{y=d/**}:verb",
            "/{x=*}/a:verb",
            "/{x=**}/b:verb",
            "/g/{x=**}/h:verb",
            "/a/{y=*}",
            "/a/{y=d/**}",
            "/{x=*}/a",
            "/{x=**}/b",
            "/g/{x=**}/h",
        ],
        &[
            ("/a/d/e:verb", "/a/{y=d/**}:verb y=d/e"),
            ("/a/d:verb", "/a/{y=d/**}:verb y=d"),
            ("/a/d/e", "/a/{y=d/**} y=d/e"),
            ("/a/d", "/a/{y=d/**} y=d"),
            ("/a/e", "/a/{y=*} y=e"),
            ("/a/e:verb", "/a/{y=*}:verb y=e"),
            ("/a/b", "/a/{y=*} y=b"),
            ("/g/e/h", "/g/{x=**}/h x=e"),
            ("/g/e/h:verb", "/g/{x=**}/h:verb x=e"),
            ("/e/a", "/{x=*}/a x=e"),
            ("/e/a:verb", "/{x=*}/a:verb x=e"),
            ("/e/f/b", "/{x=**}/b x=e/f"),
            ("/e/f/b:verb", "/{x=**}/b:verb x=e/f"),
        ],
    ),
    (
        &["GET /a", "PUT /a", "DELETE /a", "POST /a", "* /a"],
        &[("DELETE /a", "DELETE /a"), ("PUT /a", "PUT /a"), ("PATCH /a", "* /a")],
    ),
];

#[test]
fn orders() {
    for (rules, rows) in ORDERS {
        for turn in 0..rules.len() {
            let mut rules = rules.to_vec();
            rules.rotate_left(turn);
            for (request, expected) in *rows {
                assert_eq!(routed(&rules, request), *expected, "{request} among {rules:?}");
            }
        }
    }
}

/// `uri_template_test.go`, `TestUriTemplateRegex`: the paths that these expressions take and leave. A slash at the end,
/// which all of them take, is another path here: D6.
const MATCHES: &[(&str, Rows)] = &[
    ("/shelves", &[("/shelves", ""), ("/shelves/", "404"), ("/shelves/1", "404")]),
    (
        "/shelves/{shelf_id}/books/{book.id}:checkout",
        &[("/shelves/1/books/2:checkout", "shelf_id=1 book.id=2"), ("/shelves/1/books/2", "404")],
    ),
    ("/test/*/test/**", &[("/test/a/test/b/c", ""), ("/test/a/test/", ""), ("/test/a/b/test/c", "404")]),
    ("/test/{x=*}/test/{y=**}", &[("/test/a/test/b/c", "x=a y=b/c")]),
    // Theirs has an option by which no `*` takes a colon: D11.
    (
        "/v1/{test=a/b/*}/route/{resource_id=shelves/*/books/**}:upload",
        &[("/v1/a/b/c:d/route/shelves/e/books/f:upload", "test=a/b/c:d resource_id=shelves/e/books/f")],
    ),
    ("/$discovery", &[("/$discovery", ""), ("/%24discovery", "404"), ("/xdiscovery", "404")]),
];

#[test]
fn matches() {
    for (rule, rows) in MATCHES {
        for (path, expected) in *rows {
            assert_eq!(alone(rule, path), *expected, "{path} of {rule}");
        }
    }
}
