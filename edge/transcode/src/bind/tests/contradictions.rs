//! One request that says a thing twice: path, query, and body in all its forms.

use super::*;

fn parts<'p>(files: &'p [u8], json: &'p str, form: &'p str) -> Payload<'p> {
    Payload::Parts { files, json: json.as_bytes(), form: form.as_bytes() }
}

#[test]
fn no_form_of_a_body_changes_what_the_path_gives() {
    for (path, variable, body) in [
        ("/v1/{id}", "a", json(r#"{"id":"b"}"#)),
        ("/v1/{id}", "a", form("id=b")),
        ("/v1/{id}", "a", parts(&[], r#"{"id":"b"}"#, "")),
        ("/v1/{id}", "a", parts(&[], "", "id=b")),
        ("/v1/{size}", "0", parts(&[], r#"{"size":5}"#, "")),
        ("/v1/{size}", "0", form("size=5")),
        ("/v1/{size}", "5", json(r#"{"size":"0"}"#)),
        ("/v1/{size.value}", "5", json(r#"{"size":"6"}"#)),
        ("/v1/{mask}", "name", parts(&[], r#"{"mask":"secret"}"#, "")),
        ("/v1/{time}", "2020-01-01T00:00:00Z", parts(&[], r#"{"time":"1999-01-01T00:00:00.5Z"}"#, "")),
        ("/v1/{time.seconds}", "5", json(r#"{"time":"1999-01-01T00:00:00.5Z"}"#)),
        ("/v1/{sub.count}", "1", parts(&[], r#"{"sub":{"count":2}}"#, "")),
        ("/v1/{sub.count}", "0", json(r#"{"sub":{"count":2}}"#)),
    ] {
        let plan = plan(path, "*");
        let refused = decode(&plan, &[variable], "", body);
        assert!(refused.contains("the path; leave it out"), "{path} {body:?}: {refused}");
    }
    let plan = plan("/v1/{blob}", "*");
    let file = plan.file("blob.value", "", b"x", &mut Vec::new()).unwrap_err();
    assert_eq!(file.to_string(), "blob.value: is given by the path; leave it out");
}

#[test]
fn the_parts_of_a_form_do_not_contradict_each_other() {
    let plan = plan("/v1/{id}", "*");
    let mut file = Vec::new();
    plan.file("data", "", b"x", &mut file).unwrap();
    for (files, json, form, expected) in [
        (&file[..], r#"{"i32":1}"#, "flag=true", r#"{"id":"a","flag":true,"i32":1,"data":"eA=="}"#),
        (&[], r#"{"sub":{"name":"x"}}"#, "sub.count=2", r#"{"id":"a","sub":{"name":"x","count":2}}"#),
        (&[], r#"{"id":"a"}"#, "id=a", r#"{"id":"a"}"#),
        (&file, r#"{"data":"eQ=="}"#, "", "data: is given twice"),
        (&[], r#"{"data":"eQ=="}"#, "data=eA", "data: is given twice"),
        (&[], r#"{"sub":{"count":1}}"#, "sub.count=2", "sub.count: is given twice"),
        (&[], r#"{"labels":{"a":"b"}}"#, "labels[a]=c", "labels[a]: is given twice"),
        (&[], r#"{"labels":{"a":"b"}}"#, "labels[b]=c", "labels[b]: is given twice"),
        (&[], r#"{"numbers":[1]}"#, "numbers=2", "numbers: is given twice"),
        (&[], r#"{"flag":true}"#, "numbers=1&numbers=2", r#"{"id":"a","flag":true,"numbers":[1,2]}"#),
        (&[], r#"{"left":"x"}"#, "right=y", "right: cannot be given together with left: only one of choice can"),
    ] {
        assert_eq!(decode(&plan, &["a"], "", parts(files, json, form)), expected, "{json} {form}");
    }
}

#[test]
fn a_further_message_repeats_the_path_or_leaves_it_out() {
    let lenient = RequestOptions { lenient: true, ..RequestOptions::default() };
    let lenient = compile("Get", "/v1/{i32}/{id}", "*", lenient).unwrap();
    for text in ["{}", r#"{"i32":0,"id":""}"#, r#"{"i32":"0"}"#] {
        assert_eq!(lenient.further(&["0", ""], json(text), &mut Vec::new()), Ok(()), "{text}");
    }
    assert!(lenient.further(&["0", ""], json(r#"{"i32":1}"#), &mut Vec::new()).is_err());
    let plan = plan("/v1/{id}/{sub.name}", "*");
    for (text, accepted) in [
        ("{}", true),
        (r#"{"id":"a","i32":1}"#, true),
        (r#"{"sub":{"name":"s","count":1}}"#, true),
        (r#"{"id":"b"}"#, false),
        (r#"{"sub":{"name":"t"}}"#, false),
    ] {
        let mut out = Vec::new();
        let result = plan.further(&["a", "s"], json(text), &mut out);
        assert_eq!(result.is_ok(), accepted, "{text}: {result:?}");
        assert!(accepted || out.is_empty());
    }
}

#[test]
fn a_lenient_body_wins_with_its_defaults_too() {
    let plan = lenient("Get", "*");
    for (query, text, expected) in [
        ("flag=true", r#"{"flag":false}"#, "{}"),
        ("i32=5", r#"{"i32":0}"#, "{}"),
        ("id=x", r#"{"id":""}"#, "{}"),
        ("sub.count=5", r#"{"sub":{"count":0}}"#, r#"{"sub":{}}"#),
        ("i32=5", "{}", r#"{"i32":5}"#),
    ] {
        assert_eq!(decode(&plan, &[], query, json(text)), expected, "{query} {text}");
    }
}

#[test]
fn a_body_and_a_variable_of_one_oneof_are_refused_when_compiled() {
    let refused = compile("Get", "/v1/{left}", "azure", RequestOptions::default()).unwrap_err().join("; ");
    assert_eq!(refused, "body azure: cannot be given together with left: only one of choice can");
}

#[test]
fn a_form_that_is_an_object_has_each_name_once() {
    let plan = compile("Push", "/v1", "body", RequestOptions::default()).unwrap();
    assert_eq!(decode(&plan, &[], "", form("a=1&a=2")), "body.a: is given twice");
    assert_eq!(decode(&plan, &[], "", form("a=%ff")), "body.a: is not UTF-8 after percent-decoding");
    let lenient = lenient("Push", "body");
    assert_eq!(decode(&lenient, &[], "", form("a=1&a=2")), r#"{"body":{"a":"1"}}"#);
    assert_eq!(decode(&plan, &[], "", form(&"a=1&".repeat(1_001))), "more than 1000 parameters");
}

#[test]
fn other_names_are_names_like_any() {
    let aliases = [
        ("nombre", "id"),
        ("cuenta", "sub.count"),
        ("hijo", "sub.deep"),
        ("algo", "any"),
        ("izquierda", "left"),
        ("palabras", "tags"),
    ];
    let aliases = aliases.map(|(alias, path)| (alias.to_owned(), path.to_owned()));
    let options = RequestOptions { aliases: aliases.into(), ..RequestOptions::default() };
    let plan = compile("Get", "/v1", "*", options.clone()).unwrap();
    for (text, expected) in [
        (r#"{"sub":null,"cuenta":4}"#, r#"{"sub":{"count":4}}"#),
        (r#"{"nombre":"n","i32":1,"i32":2}"#, "i32: is there twice"),
        (r#"{"nombre":"n","sub":{"count":1,"count":2}}"#, "sub.count: is there twice"),
        (r#"{"nombre":"n","nombre":"m"}"#, "nombre: is there twice"),
        (r#"{"nombre":"n","zzz":1}"#, "zzz: is not a field of test.v1.Everything"),
        (r#"{"cuenta":4,"sub":{"count":0}}"#, r#"{"sub":{}}"#),
        (
            r#"{"cuenta":4,"hijo":{"name":"d"},"sub":{"name":"n"}}"#,
            r#"{"sub":{"name":"n","deep":{"name":"d"},"count":4}}"#,
        ),
        (r#"{"cuenta":null,"palabras":["a"]}"#, r#"{"tags":["a"]}"#),
        (r#"{"palabras":["a"],"tags":["b"]}"#, r#"{"tags":["b"]}"#),
        (
            r#"{"cuenta":"x","palabras":[1,"a",2]}"#,
            "cuenta: must be a 32-bit integer; palabras[0]: must be a string; palabras[2]: must be a string",
        ),
        (r#"{"hijo":{"count":1,"count":2}}"#, "hijo.count: is there twice"),
        (r#"{"sub":{"nombre":"n"}}"#, "sub.nombre: is not a field of test.v1.Sub"),
        (
            r#"{"algo":18446744073709551617}"#,
            "algo: is an integer beyond 2^53, which cannot be kept exactly; send it as a string",
        ),
        (r#"{"izquierda":"x","right":"y"}"#, "left: cannot be given together with right: only one of choice can"),
    ] {
        assert_eq!(decode(&plan, &[], "", json(text)), expected, "{text}");
    }
    let plan = compile("Get", "/v1/{sub.count}", "*", options).unwrap();
    for (text, expected) in [
        (r#"{"cuenta":4,"hijo":{}}"#, r#"{"sub":{"deep":{},"count":4}}"#),
        (r#"{"cuenta":5}"#, "cuenta: differs from the value in the path; leave it out"),
    ] {
        assert_eq!(decode(&plan, &["4"], "", json(text)), expected, "{text}");
    }
    let options = RequestOptions { aliases: [("x".into(), "labels[k]".into())].into(), ..RequestOptions::default() };
    assert_eq!(compile("Get", "/v1", "", options).unwrap_err(), ["alias x -> labels[k]: is an entry of a map"]);
}

/// A request of 1 MiB must not become an answer of 32.
#[test]
fn violations_are_no_longer_than_what_they_say() {
    let key = "a".repeat(1 << 20);
    let wrong: String = (0..40).map(|number| format!(r#","{number}":1"#)).collect();
    let text = format!(r#"{{"sub_map":{{"{key}":{{"count":1{wrong}}}}}}}"#);
    let violations = plan("/v1", "*").decode::<&str>(&[], "", json(&text), &mut Vec::new()).unwrap_err();
    assert_eq!(violations.len(), VIOLATIONS_MAX);
    assert!(violations.iter().all(|violation| violation.field.len() + violation.description.len() < 2_048));
}

#[test]
fn what_comes_after_the_last_violation_is_not_told() {
    let names: String = (0..1_000).map(|number| format!("zzz{number}=1&")).collect();
    let decoded = decode(&plan("/v1", "*"), &[], "", form(&names));
    assert_eq!(decoded.matches("is not a field").count(), VIOLATIONS_MAX);
}
