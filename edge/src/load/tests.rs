use super::*;
use crate::call::retry::budgets;
use crate::config::{self, Duplicates};
use crate::fixture;

fn load(config: &Config, rules: &rule::Config, backends: &[Backend]) -> Result<Loaded, LoadError> {
    super::load(config, rules, &budgets(backends), backends)
}

#[test]
fn all_problems_are_reported_at_once_with_their_methods() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.BrokenService".into(), "test.v1.Missing".into()];
    let problems = load(&Config::default(), &rule::Config::default(), &[backend.clone(), backend]).unwrap_err().0;
    for expected in [
        "error[bad-template]: test.v1.BrokenService.Template: \"GET /a//b\": ",
        "error[unknown-field]: test.v1.BrokenService.Variables: \"GET /v/{nope}/{list}\": {nope}: ",
        "error[repeated-variable]: test.v1.BrokenService.Variables: \"GET /v/{nope}/{list}\": {list}: ",
        "error[unknown-body]: test.v1.BrokenService.Body: \"POST /body\": body: ",
        "error[unknown-body]: test.v1.BrokenService.Body: \"POST /body\": response_body: ",
        "error[clash]: test.v1.BrokenService.Twice: \"GET /twice/{id}\": is the same route as \"GET /twice/{name}\" of",
        "error[nested-bindings]: test.v1.BrokenService.Nested: ",
        "error[served-twice]: test.v1.BrokenService: served by echo and by echo; leave one out",
        "error[own-path]: test.v1.BrokenService.Own: \"GET /health/{id}\": the edge answers this path itself; choose another",
        "error[misfit]: test.v1.BrokenService.Pair: \"GET /pair/{pa}/{pb}\": path variable {pb}: cannot be given together",
        "error[unknown-binding]: test.v1.BrokenService.Policy: the policy's binding \"GET /polcy\" is none of its HTTP rules",
    ] {
        let is_told = |problem: &String| problem.starts_with("broken.proto:") && problem.contains(expected);
        assert!(problems.iter().any(is_told), "{expected}\nnot in {problems:#?}");
    }
    assert!(problems.contains(&"echo: error[unknown-service]: test.v1.Missing: is not in its descriptors".to_owned()));
}

#[test]
fn required_parameters_make_one_path_two_methods() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.FineService".into()];
    let loaded = load(&Config::default(), &rule::Config::default(), &[backend]).unwrap();
    let rpc = |has: bool| loaded.table.find("GET", "/active", |_| has).unwrap().rule.value.method.name().to_owned();
    assert_eq!([rpc(true), rpc(false)], ["test.v1.FineService/One", "test.v1.FineService/All"]);
}

#[test]
fn unreadable_descriptors_name_their_backend() {
    let backend = fixture::backend(Bytes::from_static(b"\xff"));
    let problems = load(&Config::default(), &rule::Config::default(), &[backend]).unwrap_err().0;
    assert!(problems[0].starts_with("echo: error[bad-descriptors]: its descriptors cannot be read"), "{problems:?}");
}

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// The service configuration of the test.
fn configured(rules: &str) -> rule::Config {
    let mut config = rule::Config::default();
    config.read("rules.yaml", rules).unwrap();
    config
}

#[test]
fn rules_of_the_edge_take_the_place_of_annotations() {
    let backend = fixture::backend(fixture::descriptors("echo.proto"));
    let rules = "http:\n  rules:\n  - {selector: test.v1.EchoService.Get, get: '/v2/{id}'}\n  - {selector: test.v1.Nope, get: /x}\n";
    let loaded = load(&Config::default(), &configured(rules), &[backend]).unwrap();
    let found = |path: &str| loaded.table.find("GET", path, |_| false).is_ok();
    assert!(found("/v2/a") && !found("/v1/echo/a"));
    assert_eq!(loaded.unmatched.len(), 1);
    assert!(loaded.unmatched[0].contains("rules.yaml:4") && loaded.unmatched[0].contains("test.v1.Nope"));
    let missing = rules_of("missing.yaml");
    assert!(missing.unwrap_err().0[0].starts_with("missing.yaml: "));
}

fn rules_of(file: &str) -> Result<rule::Config, LoadError> {
    super::rules(&[PathBuf::from(file)])
}

#[test]
fn methods_without_a_rule_can_be_mapped() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.BareService".into()];
    for auto_mapping in [false, true] {
        let config = with(|config| config.auto_mapping = auto_mapping);
        let loaded = load(&config, &rule::Config::default(), &[backend.clone()]).unwrap();
        assert_eq!(loaded.table.find("POST", "/test.v1.BareService/Bare", |_| false).is_ok(), auto_mapping);
    }
}

#[test]
fn one_of_two_routes_can_win() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.TwiceService".into()];
    for (duplicates, expected) in [(Duplicates::First, "One"), (Duplicates::Last, "Two")] {
        let config = with(|config| config.duplicates = duplicates);
        let loaded = load(&config, &rule::Config::default(), &[backend.clone()]).unwrap();
        let found = loaded.table.find("GET", "/twice/a", |_| false).unwrap();
        assert_eq!(found.rule.value.method.name(), format!("test.v1.TwiceService/{expected}"));
    }
    let refused = load(&Config::default(), &rule::Config::default(), &[backend]).unwrap_err().0;
    assert!(refused.iter().any(|problem| problem.contains("One") && problem.contains("Two")), "{refused:?}");
}

#[test]
fn options_of_no_route_are_mistakes_once_all_backends_are_known() {
    let route = config::Route { pattern: "GET /nope".into(), ..config::Route::default() };
    let config = with(|config| config.routes = vec![route]);
    let backend = fixture::backend(fixture::descriptors("echo.proto"));
    let made = |backends: &[Backend]| {
        let about = crate::About { name: "test".into(), version: "1".into() };
        let nobody = malla_runtime::auth::Authenticator::new(&malla_runtime::auth::Config::default());
        crate::Edge::new(config.clone(), backends, Arc::new(nobody), about, None)
    };
    let problems = made(std::slice::from_ref(&backend)).unwrap_err().0;
    let help = "name one as its rule has it, or a method by its full name";
    assert_eq!(problems, [format!("edge.routes[0]: error[unknown-route]: GET /nope: is no route; {help}")]);
    let unknown = Backend { services: Vec::new(), descriptors: Bytes::new(), ..backend.clone() };
    let edge = made(&[unknown]).unwrap();
    edge.check_settings().unwrap();
    edge.replace(backend).unwrap();
    assert_eq!(edge.check_settings().unwrap_err().0, problems);
}

#[tokio::test]
async fn a_foreign_method_that_does_not_say_who_may_call_it_is_for_anyone() {
    for (foreign, path, status) in
        [(true, "/unspecified", 501), (false, "/unspecified", 404), (true, "/service", 404), (false, "/service", 404)]
    {
        let backend = Backend { foreign, ..fixture::backend(fixture::descriptors("broken.proto")) };
        let edge = fixture::in_front_of(
            fixture::config(),
            Backend { services: vec!["test.v1.AccessService".into()], ..backend },
        );
        let request = http::Request::get(path).header("host", "test").body(tonic::body::Body::empty()).unwrap();
        // Served, it is a method that the backend does not know.
        assert_eq!(fixture::send(&edge, request).await.status(), status, "{path} foreign: {foreign}");
    }
}
