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
    ] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

#[test]
fn errors_say_where() {
    assert_eq!(reason("/a/{x=b/{y}}"), "a variable cannot hold a variable at character 9 of \"/a/{x=b/{y}}\"");
    assert_eq!(reason("/a//b"), "empty segment at character 4 of \"/a//b\"");
}
