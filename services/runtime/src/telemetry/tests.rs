use tracing::{Level, enabled};

use super::*;

#[test]
fn what_clients_bring_about_is_no_warning() {
    let logs = tracing_subscriber::registry().with(Config::default().filter().expect("the default is a filter"));
    tracing::subscriber::with_default(logs, || {
        assert!(!enabled!(target: "h2::proto::streams", Level::WARN), "a connection that resets its streams");
        assert!(!enabled!(target: "sqlx::pool::acquire", Level::WARN), "a place in a pool that was waited for");
        assert!(enabled!(target: "h2::proto::streams", Level::ERROR));
        assert!(enabled!(target: "sqlx::query", Level::WARN));
    });
}

#[test]
fn a_log_filter_has_levels_only() {
    for (log, is_read) in [
        ("info", true),
        ("WARN,malla_edge=debug,h2=off", true),
        ("warning", false),
        ("info,malla_edge=inf", false),
        ("malla_edge", false),
    ] {
        assert_eq!(Config { log: log.into(), ..Config::default() }.filter().is_ok(), is_read, "{log}");
    }
}
