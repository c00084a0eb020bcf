use super::*;
use crate::fixture;

#[test]
fn all_problems_are_reported_at_once_with_their_methods() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.BrokenService".into(), "test.v1.Missing".into()];
    let problems = load(&Config::default(), &[backend.clone(), backend]).unwrap_err().0;
    let expected = [
        "Template: \"GET /a//b\": empty segment at character 4 of \"/a//b\"",
        "Variables: \"GET /v/{nope}/{list}\": path variable {nope}: is not a field of this request",
        "Variables: \"GET /v/{nope}/{list}\": path variable {list}: is repeated, and a path has one value",
        "Body: \"POST /body\": body: \"nope\" is not a field of test.v1.BrokenRequest",
        "Body: \"POST /body\": response_body: \"nope\" is not a field of test.v1.BrokenRequest",
        "Twice: \"GET /twice/{id}\": is the same route as \"GET /twice/{name}\" of test.v1.BrokenService.Once",
        "Own: \"GET /health/{id}\": the edge answers this path itself; choose another",
        "Policy: the policy's binding \"GET /polcy\" is none of its HTTP rules",
        "Nested: additional_bindings within additional_bindings",
    ];
    for expected in expected {
        let expected = format!("test.v1.BrokenService.{expected}");
        assert!(problems.contains(&expected), "{expected}\nnot in {problems:#?}");
    }
    assert!(problems.contains(&"echo: test.v1.Missing is not in its descriptors".to_owned()));
    assert!(problems.contains(&"test.v1.BrokenService: served by echo and by echo; leave one out".to_owned()));
}

#[test]
fn required_parameters_make_one_path_two_methods() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.FineService".into()];
    let loaded = load(&Config::default(), &[backend]).unwrap();
    let rpc = |has: bool| loaded.table.find("GET", "/active", |_| has).unwrap().rule.rpc.clone();
    assert_eq!([rpc(true), rpc(false)], ["test.v1.FineService.One", "test.v1.FineService.All"]);
}

#[test]
fn unreadable_descriptors_name_their_backend() {
    let backend = fixture::backend(Bytes::from_static(b"\xff"));
    let problems = load(&Config::default(), &[backend]).unwrap_err().0;
    assert!(problems[0].starts_with("echo: its descriptors cannot be read"), "{problems:?}");
}
