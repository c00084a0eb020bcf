use super::*;

fn route(pattern: &str, selector: &str) -> Route {
    Route { pattern: pattern.into(), selector: selector.into(), ..Route::default() }
}

#[test]
fn it_names_a_route_or_methods() {
    for (pattern, selector) in [("GET /v1/a", ""), ("", "p.S.M"), ("", "p.S.*"), ("", "*")] {
        route(pattern, selector).check(0).unwrap();
    }
    for (pattern, selector) in [("", ""), ("GET /v1/a", "p.S.M"), ("", "p.*.M"), ("", "p.S*")] {
        let error = route(pattern, selector).check(3).unwrap_err().to_string();
        assert!(error.contains("edge.routes[3]."), "{error}");
    }
}

#[test]
fn the_last_that_says_something_counts() {
    let methods = Route { names: Some(Names::Proto), errors: Some(Errors::Problem), ..route("", "p.S.*") };
    let one = Route { names: Some(Names::Camel), unknown_query: Some(Unknown::Ignore), ..route("GET /v1/a", "") };
    let config = Config { routes: vec![methods, one], errors: Errors::Aip193, ..Config::default() };
    let options = config.options("p.S.M", "GET /v1/a");
    assert_eq!((options.json.names, options.errors), (Names::Camel, Errors::Problem));
    assert_eq!((options.unknown_query, options.unknown_fields), (Unknown::Ignore, Unknown::Refuse));
    assert_eq!(config.options("p.S.M", "GET /v1/b").json.names, Names::Proto);
    assert_eq!(config.options("p.Sx.M", "GET /v1/b").errors, Errors::Aip193);
}
