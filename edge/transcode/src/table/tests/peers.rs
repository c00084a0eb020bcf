//! What others' test tables say of matching, in our words. Where we differ from one, the row says so.

use super::*;

/// grpc-httpjson-transcoding, `path_matcher_test.cc`: wildcards.
#[test]
fn wildcards() {
    check(&["/{all=**}"], &[("/", "/{all=**}:"), ("/a", "/{all=**}: a"), ("/a/", "/{all=**}: a/")]);
    check(
        &["/a/**", "/b/*", "/c/*/d/**", "/c/*/d/e", "/c/f/d/e", "/"],
        &[
            ("/a/b", "/a/**:"),
            ("/a/b/c", "/a/**:"),
            ("/b/c", "/b/*:"),
            ("b/c/d", "404"),
            ("/c/u/d/v", "/c/*/d/**:"),
            ("/c/v/d/w/x", "/c/*/d/**:"),
            ("/c/x/y/d/z", "404"),
            ("/c//v/d/w/x", "404"),
            ("/c/x/d/e", "/c/*/d/e:"),
            ("/c/f/d/e", "/c/f/d/e:"),
            ("/", "/:"),
        ],
    );
}

/// The same file: one table in which every kind of variable competes.
#[test]
fn variables_that_compete() {
    check(
        &[
            "/a/{x}/c/d/e",
            "/{x=a/*}/b/{y=*}/c",
            "/a/{x=b/*}/{y=d/**}",
            "/alpha/{x=*}/beta/{y=**}/gamma",
            "/{x=*}/a",
            "/{x=**}/a/b",
            "/a/b/{x=*}",
            "/a/b/c/{x=**}",
            "/{x=*}/d/e/f/{y=**}",
        ],
        &[
            ("/a/book/c/d/e", "/a/{x}/c/d/e: book"),
            ("/a/hello/b/world/c", "/{x=a/*}/b/{y=*}/c: a/hello, world"),
            ("/a/b/zoo/d/animal/tiger", "/a/{x=b/*}/{y=d/**}: b/zoo, d/animal/tiger"),
            ("/alpha/dog/beta/eat/bones/gamma", "/alpha/{x=*}/beta/{y=**}/gamma: dog, eat/bones"),
            ("/foo/a", "/{x=*}/a: foo"),
            ("/foo/bar/a/b", "/{x=**}/a/b: foo/bar"),
            ("/a/b/foo", "/a/b/{x=*}: foo"),
            ("/a/b/c/foo/bar/baz", "/a/b/c/{x=**}: foo/bar/baz"),
            ("/foo/d/e/f/bar/baz", "/{x=*}/d/e/f/{y=**}: foo, bar/baz"),
        ],
    );
}

/// The same file: a fixed end after `**`, with verbs.
#[test]
fn ends_after_double_star() {
    check(
        &[
            "/a/{x=b/**}",
            "/a/{x=b/**}/z",
            "/a/{x=b/**}/y/z",
            "/a/{x=b/**}:verb",
            "/a/{x=**}",
            "/c/{x=*}/{y=d/**}/e",
            "/c/{x=*}/{y=d/**}/e:verb",
            "/f/{x=*}/{y=**}/g",
            "/f/{x=*}/{y=**}/g:verb",
            "/a/{x=b/*/y/z/**}/foo",
            "/a/{x=b/*/**/y/z}/foo",
        ],
        &[
            ("/a/b/hello/world/c", "/a/{x=b/**}: b/hello/world/c"),
            ("/a/b/world/c/z", "/a/{x=b/**}/z: b/world/c"),
            ("/a/b/world/c/y/z", "/a/{x=b/**}/y/z: b/world/c"),
            ("/a/b/world/c:verb", "/a/{x=b/**}:verb: b/world/c"),
            ("/a/hello/b/world/c", "/a/{x=**}: hello/b/world/c"),
            ("/c/hello/d/esp/world/e", "/c/{x=*}/{y=d/**}/e: hello, d/esp/world"),
            ("/c/hola/d/esp/mundo/e:verb", "/c/{x=*}/{y=d/**}/e:verb: hola, d/esp/mundo"),
            ("/f/foo/bar/baz/g", "/f/{x=*}/{y=**}/g: foo, bar/baz"),
            ("/f/foo/bar/baz/g:verb", "/f/{x=*}/{y=**}/g:verb: foo, bar/baz"),
            ("/a/b/foo/y/z/bar/baz/foo", "/a/{x=b/*/y/z/**}/foo: b/foo/y/z/bar/baz"),
            ("/a/b/foo/bar/baz/y/z/foo", "/a/{x=b/*/**/y/z}/foo: b/foo/bar/baz/y/z"),
        ],
    );
}

/// The same file: verbs, which belong to no segment and to no other route.
#[test]
fn verbs() {
    check(
        &["/person", "/person/{id=*}", "/{x=**}:verb"],
        &[
            ("/person:verb", "/{x=**}:verb: person"),
            // Theirs takes the verb: there a verb of any route is one of all.
            ("/person/jason:verb", "/person/{id=*}: jason:verb"),
            ("/animal/cat:verb", "/{x=**}:verb: animal/cat"),
            ("/person", "/person:"),
            ("/person/jason", "/person/{id=*}: jason"),
            ("/animal", "404"),
            ("/person:other", "404"),
            ("/person/jason:other", "/person/{id=*}: jason:other"),
            ("/animal/cat:other", "404"),
        ],
    );
    check(
        &[
            "/a/{y=*}:verb",
            "/a/{y=d/**}:verb",
            "/{x=*}/a:verb",
            "/{x=**}/b:verb",
            "/e/{x=*}/f:verb",
            "/g/{x=**}/h:verb",
        ],
        &[
            ("/a/world:verb", "/a/{y=*}:verb: world"),
            ("/a/d/animal/tiger:verb", "/a/{y=d/**}:verb: d/animal/tiger"),
            ("/foo/a:verb", "/{x=*}/a:verb: foo"),
            ("/foo/bar/baz/b:verb", "/{x=**}/b:verb: foo/bar/baz"),
            ("/e/foo/f:verb", "/e/{x=*}/f:verb: foo"),
            ("/g/foo/bar/h:verb", "/g/{x=**}/h:verb: foo/bar"),
        ],
    );
    check(
        &["/some/const:verb", "/some/*:verb", "/some/*/foo:verb", "/other/**:verb", "/other/**/const:verb"],
        &[
            ("/some/const:verb", "/some/const:verb:"),
            ("/some/other:verb", "/some/*:verb:"),
            ("/some/other:verb/", "404"),
            ("/some/bar/foo:verb", "/some/*/foo:verb:"),
            ("/some/foo1/foo2/foo:verb", "404"),
            ("/some/foo/bar:verb", "404"),
            ("/other/bar/foo:verb", "/other/**:verb:"),
            ("/other/bar/foo/const:verb", "/other/**/const:verb:"),
        ],
    );
    check(&["/{a=*}/{b=*}:verb"], &[("/some:verb/const:verb", "/{a=*}/{b=*}:verb: some:verb, const")]);
    check(&["/foo/*/hello"], &[("/foo/other:verb/hello", "/foo/*/hello:")]);
    check(
        &["/{a=**}:verb", "/{a=**}"],
        &[
            ("/some:verb/const:verb", "/{a=**}:verb: some:verb/const"),
            ("/some:verb/const", "/{a=**}: some:verb/const"),
            ("/some:verb2/const:verb2", "/{a=**}: some:verb2/const:verb2"),
        ],
    );
}

/// The same file: nothing matches in part.
#[test]
fn partial_paths() {
    check(
        &["/prefix/middle/suffix", "/prefix/middle", "/prefix", "/x/y/z/w"],
        &[
            ("/prefix/middle/suffix", "/prefix/middle/suffix:"),
            ("/prefix/middle", "/prefix/middle:"),
            ("/prefix/middle/suffix/other", "404"),
            ("/prefix/other", "404"),
            ("/other", "404"),
            ("/x/y/z", "404"),
            ("POST /prefix", "405 GET, HEAD, OPTIONS"),
        ],
    );
    assert_eq!(find(&table(&[""; 0]), "/a"), "404");
}

/// The same file's reserved characters in the three modes of decoding.
#[test]
fn reserved_characters() {
    let table = table(&["/a/{x=*}/{y=**}/c"]);
    let escaped = "%21%23%24%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D";
    let path = format!("/a/{escaped}/{escaped}/c");
    for (keep, multi) in
        [(Keep::Reserved, escaped), (Keep::Slash, "!#$&'()*+,%2F:;=?@[]"), (Keep::Nothing, "!#$&'()*+,/:;=?@[]")]
    {
        let found = table.find("GET", &path, |_| false).unwrap();
        let texts: Vec<_> = found.variables(keep).map(|(_, text)| text.unwrap()).collect();
        assert_eq!(texts, ["!#$&'()*+,/:;=?@[]", multi]);
    }
}

/// Where peers disagree about the path, by the number of their row.
#[test]
fn disagreements() {
    check(
        &[
            "/items/{id}",
            "/v/{v=**}",
            "/bt/a/{id}/x",
            "* /any/{id}",
            "* /verb/{id}:go",
            "/dir/{p=**}/lit",
            "/two/{p=**}/{c}",
        ],
        &[
            ("/items/a%2Fb", "/items/{id}: a%2Fb"),         // D1
            ("/items/a%zz", "400 8"),                       // D3
            ("/v/c%20d%3A", "/v/{v=**}: c%20d%3A"),         // D4
            ("/items/", "404"),                             // D5
            ("/items/a/", "404"),                           // D6
            ("/v", "/v/{v=**}:"),                           // D7
            ("/dir/lit", "/dir/{p=**}/lit:"),               // D7, in the middle
            ("/dir/a/b/lit", "/dir/{p=**}/lit: a/b"),       // D8
            ("/two/a/b", "/two/{p=**}/{c}: a, b"),          // D8
            ("/bt/a//x", "404"),                            // D9
            ("/%69tems/a", "/items/{id}: a"),               // D10
            ("/items/a:go", "/items/{id}: a:go"),           // D11
            ("PURGE /verb/q:go", "* /verb/{id}:go: q"),     // D12
            ("/any/q:go", "* /any/{id}: q:go"),             // D13
            ("PUT /items/a", "405 GET, HEAD, OPTIONS"),     // D17
            ("OPTIONS /items/a", "405 GET, HEAD, OPTIONS"), // D42: the answer to it
            ("HEAD /items/a", "/items/{id}: a"),            // D43
            ("OPTIONS /any/a", "* /any/{id}: a"),           // any method is any method
        ],
    );
}
