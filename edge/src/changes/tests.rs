use std::sync::Arc;

use bytes::Bytes;
use malla_runtime::auth::{self, Authenticator};

use super::*;
use crate::fixture::{backend, config, descriptors, in_front_of};
use crate::load::Backend;
use crate::{About, Edge};

#[test]
fn a_new_table_is_compared_with_the_old_one() {
    let echo = backend(descriptors("echo.proto"));
    let edge = in_front_of(config(), echo.clone());
    assert_eq!(edge.replace(echo.clone()).unwrap(), Changes::default());

    let open = Backend { foreign: true, ..echo.clone() };
    let guarded = [
        "/test.v1.EchoService/Guarded",
        "/test.v1.EchoService/Known",
        "/test.v1.EchoService/Watched",
        "GET /v1/guarded",
        "GET /v1/watched",
        "POST /v1/known",
    ];
    let changed = guarded.map(str::to_owned).into();
    assert_eq!(edge.replace(open).unwrap(), Changes { changed, ..Changes::default() });

    let other = || Backend { services: vec!["test.v1.FineService".into()], ..backend(descriptors("broken.proto")) };
    let changes = edge.replace(other()).unwrap();
    assert_eq!(changes.added.first().map(String::as_str), Some("/test.v1.FineService/All"));
    assert!(changes.added.contains(&"GET /active?id".to_owned()), "{changes:?}");
    assert!(changes.removed.contains(&"GET /v1/echo/{id}".to_owned()) && changes.changed.is_empty(), "{changes:?}");

    edge.replace(Backend { name: "other".into(), ..other() }).unwrap_err();
    edge.replace(Backend { descriptors: Bytes::from_static(b"\xff"), ..other() }).unwrap_err();
    assert_eq!(edge.replace(other()).unwrap(), Changes::default(), "what was refused has changed nothing");
}

#[test]
fn who_serves_a_service_goes_on_serving_it() {
    let foreign = |name: &str| Backend { name: name.into(), foreign: true, ..backend(descriptors("echo.proto")) };
    let unknown = Backend { services: Vec::new(), descriptors: Bytes::new(), ..foreign("aaa") };
    let authenticator = Arc::new(Authenticator::new(&auth::Config::default()));
    let edge = Edge::new(config(), &[unknown, foreign("zzz")], authenticator, About::default(), None).unwrap();
    let late = edge.replace(foreign("aaa")).unwrap();
    assert!(late.left_out[0].contains("served by zzz and by aaa; leave one out"), "{late:?}");
    assert!(edge.routes().count() > 10 && edge.routes().all(|route| route.backend == "zzz"));
}
