use malla_transcode::check::Severity;

use super::*;
use crate::config::Route;
use crate::fixture;

fn report(config: Config, backends: &[Backend]) -> Report {
    Report::new(config, backends).unwrap()
}

#[tokio::test]
async fn all_that_is_wrong_has_a_place_and_says_what_to_do() {
    let mut backend = fixture::backend(fixture::descriptors("broken.proto"));
    backend.services = vec!["test.v1.BrokenService".into(), "test.v1.FineService".into()];
    let report = report(Config::default(), &[backend]);
    let errors: Vec<_> = report.findings().iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.iter().all(|one| one.file == "broken.proto" && !one.method.is_empty()), "{errors:?}");
    for code in [Code::OwnPath, Code::Misfit, Code::UnknownBinding] {
        let found = errors.iter().find(|finding| finding.code == code).unwrap();
        assert!(!found.help.is_empty(), "{found}");
    }
    // What is right is in the table all the same.
    assert_eq!(report.bindings(), 6);
}

#[tokio::test]
async fn settings_for_no_route_are_wrong_once_all_backends_are_known() {
    let route = Route { selector: "no.such.Service.*".into(), ..Route::default() };
    let config = Config { routes: vec![route], ..Config::default() };
    let known = fixture::backend(fixture::descriptors("echo.proto"));
    let unknown = Backend { name: "other".into(), services: Vec::new(), ..known.clone() };
    for (backends, expected) in [(vec![known.clone()], 1), (vec![known, unknown], 0)] {
        let report = report(config.clone(), &backends);
        assert_eq!(report.findings().iter().filter(|one| one.code == Code::UnknownRoute).count(), expected);
    }
}

#[tokio::test]
async fn requests_are_bound_as_the_edge_binds_them() {
    let report = report(fixture::config(), &[fixture::backend(fixture::descriptors("echo.proto"))]);
    for (method, target, expected) in [
        ("GET", "/v1/echo/a%20b?i32=7&tags=x&tags=y", "Get\n    id = \"a b\"\n    i32 = 7\n    tags = [\"x\",\"y\"]\n"),
        ("GET", "/v1/echo/a?zzz=1&i32=x", "Get\n    400: zzz: is not a field of this request\n    400: i32: "),
        ("GET", "/v1/echo/a?id=b", "    400: id: differs from the value in the path; leave it out\n"),
        ("GET", "/v1/numbers/x", "    400: i32: "),
        ("GET", "/v1/echo/%ff", "    400: id: the path is not UTF-8"),
        ("PUT", "/v1/echo/a?i32=1", "    400: i32: belongs in the body"),
        ("GET", "/", "GET /\n  goes to no rule: the edge answers this path itself\n"),
        ("GET", "/health?x=y", "GET /health\n  goes to no rule: the edge answers"),
        ("POST", "/openapi.json", "  405: this path has GET, HEAD, OPTIONS only\n"),
        ("OPTIONS", "/docs", "  204: this path has GET, HEAD, OPTIONS\n"),
        ("OPTIONS", "/v1/known", "  204: this path has OPTIONS, POST\n"),
        ("GET", "/v1/internal", "  404: no rule has this path\n"),
    ] {
        let text = report.explain(method, target).to_string();
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
}
