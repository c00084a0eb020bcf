use super::*;

fn reason(text: &str) -> String {
    match Template::parse(text) {
        Ok(template) => panic!("{text} parsed as {template:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn bare_root_has_no_segments() {
    assert!(Template::parse("/").unwrap().segments.is_empty());
}

#[test]
fn variable_without_pattern_is_one_segment() {
    let (short, long) = (Template::parse("/a/{x}").unwrap(), Template::parse("/a/{x=*}").unwrap());
    assert_eq!(short.segments, long.segments);
    assert_eq!(short.variables, long.variables);
}

#[test]
fn variable_spans_its_segments_literals_included() {
    let template = Template::parse("/v1/{name=shelves/*/books/**}/tail:go").unwrap();
    let variable = &template.variables[0];
    assert_eq!((variable.start, variable.end, variable.multi), (1, 5, true));
    assert_eq!(template.verb.as_deref(), Some("go"));
    assert_eq!(template.multi_at(), Some(4));
}

#[test]
fn double_star_is_multi_even_alone() {
    assert!(Template::parse("/{v=**}").unwrap().variables[0].multi);
    assert!(!Template::parse("/{v=*}").unwrap().variables[0].multi);
}

/// The rows of grpc-httpjson-transcoding's `http_template_test.cc`: shape, and where each variable stands.
#[test]
fn shapes_and_variables() {
    for (text, shape, variables) in [
        ("/shelves/{shelf}/books/{book}", "/shelves/*/books/*", "shelf 1..2, book 3..4"),
        ("/shelves/**", "/shelves/**", ""),
        ("/a/b/c:foo", "/a/b/c:foo", ""),
        ("/*/a/**", "/*/a/**", ""),
        ("/a/{a.b.c=*}", "/a/*", "a.b.c 1..2"),
        ("/a/{b=**}", "/a/**", "b 1..2 multi"),
        ("/a/{b=c/*/d}", "/a/c/*/d", "b 1..4 multi"),
        ("/a/{b=c/**}/d/e", "/a/c/**/d/e", "b 1..3 multi"),
        ("/a/{b=c/**/d}/e:verb", "/a/c/**/d/e:verb", "b 1..4 multi"),
        ("/{x.y.z=*/a/b}/c", "/*/a/b/c", "x.y.z 0..3 multi"),
        ("/{x.y.z=*/*}:verb", "/*/*:verb", "x.y.z 0..2 multi"),
        ("/{x=**}:myverb", "/**:myverb", "x 0..1 multi"),
        ("/{x.y.z=a/**/b}/c/d:custom", "/a/**/b/c/d:custom", "x.y.z 0..3 multi"),
        ("/a/{b=*}/**:verb", "/a/*/**:verb", "b 1..2"),
        ("/", "/", ""),
    ] {
        let template = Template::parse(text).unwrap();
        assert_eq!((template.shape().to_string().as_str(), template.to_string().as_str()), (shape, text));
        let found = template.variables.iter().map(|variable| {
            let Variable { field_path, start, end, multi } = variable;
            format!("{field_path} {start}..{end}{}", if *multi { " multi" } else { "" })
        });
        assert_eq!(found.collect::<Vec<_>>().join(", "), variables, "{text}");
    }
}

#[test]
fn shape_is_filled() {
    let filled = |text, multi| Template::parse(text).unwrap().fill("x", multi);
    assert_eq!(filled("/a/{b}/{c=**}/d:go", "y/z"), "/a/x/y/z/d:go");
    assert_eq!(filled("/a/{b}/{c=**}/d:go", ""), "/a/x/d:go");
    assert_eq!([filled("/{c=**}:go", ""), filled("/{c=**}", ""), filled("/", "")], ["/:go", "/", "/"]);
}

#[test]
fn longest_template_has_a_limit() {
    assert!(Template::parse(&"/a".repeat(SEGMENTS_MAX)).is_ok());
    assert!(reason(&"/a".repeat(SEGMENTS_MAX + 1)).starts_with("too many segments at column 130 "));
}

#[test]
fn accepted() {
    for text in [
        "/a",
        "/a/*/b",
        "/**",
        "/a/**/b",
        "/{p=**}/lit",
        "/v1/{parent=projects/*/databases/*/documents/*/**}/{collection_id}",
        "/a:go",
        "/{x}:go",
        "/{a.b_c.d}",
        "/a%2Fb",
        "/a@b,c;d=e",
        "/.well-known/jwks.json",
    ] {
        assert!(Template::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn refused() {
    for text in [
        "",
        "a",
        "{x}",
        "a/{x}/b",
        "//",
        "/a//b",
        "/a/",
        "/{var=a/{nested=b}}",
        "/a{x}",
        "/{x}b",
        "/{x}a{y}",
        "/{}",
        "/{x.}",
        "/{1}",
        "/{a-b}",
        "/{x",
        "/{x=",
        "/{x=}",
        "/x}",
        "/***",
        "/a*",
        "/*a",
        "/a:b/c",
        "/a:",
        "/*:",
        "/{v}:",
        ":verb",
        "/:verb",
        "/{x=var:verb}",
        "/a b",
        "/a?b",
        "/a%zz",
        "/a%4",
        "/**/**",
        "/{a=**}/{b=**}",
        "/{id}/{id}",
        "/{.a}",
        "/{a..b}",
        "/{x=/a}",
        "/{x=a/}",
        "/a:b:c",
        "/é",
        ":",
        "/:",
        "/**:",
        "/a/:verb",
        "/a/b/{var}:",
        "/a/{",
        "/a/{var.",
        "{x=/a}",
        "/a/{var=/b}",
        "/a{x}b",
        "/a/{x}b{y}",
        "/a/b{x}c/s",
        "/a/{x=b/**}/{y=**}",
        "/a{x=b/**}/bb/{y=*}",
    ] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

#[test]
fn errors_say_where() {
    assert_eq!(reason("/a/{x=b/{y}}"), "a variable cannot hold a variable at column 9 of \"/a/{x=b/{y}}\"");
    assert_eq!(reason("/a//b"), "empty segment at column 4 of \"/a//b\"");
    assert_eq!(reason("/{x=}"), "empty segment at column 5 of \"/{x=}\"");
    assert_eq!(reason("/é"), "unexpected character at column 2 of \"/é\"");
    assert_eq!(reason("/a: "), "unexpected character at column 4 of \"/a: \"");
}
