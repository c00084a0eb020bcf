//! The process itself: clear refusals with nothing half-started, drained exits, crashes that lose nothing.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Lane, Mesh, Topology, malla};

async fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = malla();
    command.args(arguments).envs(settings.iter().copied()).stdin(Stdio::null());
    tokio::time::timeout(Duration::from_secs(30), command.output()).await.expect("it ends by itself").unwrap()
}

/// Asserts an exit code and that standard error is one line that holds all of `parts`.
#[track_caller]
fn assert_refused(output: &Output, code: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = text.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(said.len(), 1, "one line: {text}");
    for part in parts {
        assert!(said[0].contains(part), "{part:?} in {text}");
    }
    assert!(output.stdout.is_empty(), "nothing was started");
}

/// Waits until a page answers with a status.
async fn becomes(url: &str, status: u16) {
    let looking = async {
        while reqwest::get(url).await.unwrap().status() != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("{url} is never {status}"));
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_what_it_may_be() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let rows: [Row<'_>; 16] = [
        (&[("MALLA_EDGE__H2_STREAMS_MAX", "0")], &["edge.h2_streams_max", "1 to"]),
        (&[("MALLA_EDGE__JSON__NAMES", "snake")], &["edge.json.names", "snake", "camel", "proto"]),
        (&[("MALLA_TELEMETRY__LOG", "[[[")], &["telemetry.log", "info"]),
        (&[("MALLA_EDGE__REQUESTS_MAX", "many")], &["edge.requests_max", "many", "integer"]),
        (&[("MALLA_EDGE__REQUEST_MAX", "1")], &["request_max", "requests_max"]),
        (&[("MALLA_EGDE__X", "1")], &["egde", "edge"]),
        (&[("MALLA_LISTEN__EDGE", "here")], &["listen.edge", "here", "127.0.0.1:"]),
        (&[("MALLA_LISTEN__EGDE", "127.0.0.1:1")], &["listen.egde", "edge"]),
        (&[("MALLA_DISCOVERY__USERS", "users:1")], &["discovery.users", "users:1", "http://"]),
        (&[("MALLA_LISTEN__EDGE", "off")], &["listen.edge", "off"]),
        (&[("MALLA_SERVER__CALLS_MAX", "0")], &["server.calls_max", "1 to"]),
        (&[("MALLA_SERVER__CONNECTIONS_MAX", "9000000000000000000")], &["server.connections_max", "1 to"]),
        (&[("MALLA_SHUTDOWN__DRAIN_MS", "3600001")], &["shutdown.drain_ms", "3600000"]),
        (&[("MALLA_AUTH__MESH_TOKEN", "a\nb")], &["auth.mesh_token", "visible"]),
        (&[("MALLA_LISTEN__BEERS", "here")], &["listen.beers", "here", "or off"]),
        (&[("MALLA_LISTEN__EDGE", "0.0.0.0:0")], &["auth.operator_token", "secret of your own"]),
    ];
    for (settings, parts) in rows {
        let targets: &[&str] = if parts[0] == "discovery.users" { &["run", "edge"] } else { &["run"] };
        let arguments: Vec<&str> = targets.iter().copied().chain(["--data-dir", dir, "--admin", "off"]).collect();
        assert_refused(&run(&arguments, settings).await, 64, parts);
    }
    assert_refused(&run(&["run", "beer", "--data-dir", dir], &[]).await, 64, &["beer", "beers"]);
    assert_refused(&run(&["run", "orders", "--data-dir", dir], &[]).await, 64, &["discovery.beers", "discovery.users"]);
    assert_refused(&run(&["run", "--config", "/no/such.toml"], &[]).await, 64, &["/no/such.toml"]);
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing was written");
}

#[tokio::test]
async fn a_taken_port_and_an_unwritable_data_dir_are_one_clear_line() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["run", "--listen", &address, "--admin", "off", "--data-dir", dir], &[]).await;
    assert_refused(&output, 1, &["edge", &address, "listen.edge"]);
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing was written");

    let file = data.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let output =
        run(&["run", "--listen", "127.0.0.1:0", "--admin", "off", "--data-dir", file.to_str().unwrap()], &[]).await;
    assert_refused(&output, 1, &[file.to_str().unwrap(), "--data-dir"]);
}

#[tokio::test]
async fn config_masks_secrets_and_routes_lists_the_old_paths() {
    let output = run(
        &["config"],
        &[
            ("MALLA_AUTH__OPERATOR_TOKEN", "hunter2"),
            ("MALLA_PRICING__WEATHER__KEY", "k3y"),
            ("MALLA_AUTH__ISSUER", "0123"),
            ("MALLA_EDGE__TRAILING_SLASH", "false"),
        ],
    )
    .await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !text.contains("hunter2") && !text.contains("k3y"), "{text}");
    let effective: toml::Value = toml::from_str(&text).expect("the settings are TOML");
    assert_eq!(effective["auth"]["operator_token"].as_str(), Some("***"));
    assert_eq!(effective["edge"]["json"]["names"].as_str(), Some("proto"));
    assert_eq!(effective["edge"]["trailing_slash"].as_bool(), Some(false));
    assert_eq!(effective["auth"]["issuer"].as_str(), Some("0123"), "what looks like a number stays as it is");

    let output = run(&["routes"], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in ["GET", "/active?city&country", "/api/queue/push", "/v1/beers/{sku}", "operator"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("WatchTokens"), "what is for services only has no route");
}

#[tokio::test]
async fn migrate_makes_the_stores_and_can_be_repeated() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = run(&["migrate", "--data-dir", data.path().to_str().unwrap()], &[]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(data.path().join("orders.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_calls_in_flight_and_exits_with_0() {
    let mut mesh = Mesh::start(Topology::OneProcess).await;
    let lane = Lane::rest(&mesh).user("leaver").await;
    let waiting = tokio::spawn(async move {
        lane.call("malla.queue.v1.QueueService/Receive", json!({"queue": "q", "wait_ms": 20_000})).await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = mesh.terminate("all").await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(waiting.await.unwrap(), Ok(json!({"messages": []})), "the long poll was answered, not cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_exits_at_once() {
    let mesh = Mesh::start_with(Topology::OneProcess, &[("SHUTDOWN__NOTICE_MS", "30000")]).await;
    let admin = mesh.address("admin").to_owned();
    let process = mesh.into_process("all");
    process.signal("TERM");
    becomes(&format!("{admin}/health/ready"), 503).await;
    process.signal("TERM");
    assert_eq!(process.wait().await.code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_turns_false_before_the_listener_closes() {
    let mesh = Mesh::start_with(Topology::OneProcess, &[("SHUTDOWN__NOTICE_MS", "3000")]).await;
    let (edge, admin) = (mesh.edge().to_owned(), mesh.address("admin").to_owned());
    let status = async |url: String| reqwest::get(url).await.unwrap().status().as_u16();
    assert_eq!(status(format!("{admin}/health/ready")).await, 200);
    let process = mesh.into_process("all");
    process.signal("TERM");
    becomes(&format!("{admin}/health/ready"), 503).await;
    becomes(&format!("{edge}/health"), 503).await;
    assert_eq!(status(format!("{edge}/v1/beers")).await, 200, "still served during the notice");
    assert_eq!(process.wait().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_alone_that_was_told_to_stop_is_not_ready() {
    let mesh = Mesh::start_with(Topology::ProcessPerService, &[("SHUTDOWN__NOTICE_MS", "5000")]).await;
    let ready = format!("{}/health/ready", mesh.address("admin"));
    becomes(&ready, 200).await;
    mesh.signal("edge", "TERM");
    becomes(&ready, 503).await;
}

/// A crash under writes: every write that was acknowledged is there afterwards, none twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mut mesh = Mesh::start(topology).await;
        let mut acknowledged = Vec::new();
        for round in 0..3 {
            let lane = Lane::rest(&mesh);
            let writer = tokio::spawn(async move {
                let mut done = Vec::new();
                for number in 0.. {
                    let comment = format!("{round}-{number}");
                    let request = json!({"content_id": "c", "email": "a@example.com", "comment": comment});
                    match lane.call_or_lose("malla.comments.v1.CommentsService/CreateComment", request).await {
                        // Without a comment it was accepted for later: its service is gone.
                        Some(Ok(answer)) if answer["comment"].is_object() => done.push(comment),
                        _ => return done,
                    }
                }
                done
            });
            tokio::time::sleep(Duration::from_millis(400)).await;
            let target = mesh.process_of("comments");
            mesh.kill(target).await;
            acknowledged.extend(writer.await.unwrap());
            mesh.restart(target).await;
        }
        let lane = Lane::rest(&mesh);
        let list =
            lane.call("malla.comments.v1.CommentsService/ListComments", json!({"content_id": "c"})).await.unwrap();
        let stored: Vec<Value> =
            list["comments"].as_array().unwrap().iter().map(|row| row["comment"].clone()).collect();
        assert!(acknowledged.len() > 3, "{} writes", acknowledged.len());
        for comment in acknowledged {
            assert_eq!(stored.iter().filter(|row| **row == json!(comment)).count(), 1, "{comment} ({topology:?})");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mesh = Mesh::start(Topology::OneProcess).await;
    for name in ["users.db", "mesh.token", "files"] {
        let mode = std::fs::metadata(mesh.data_dir().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is {mode:o}");
    }
}
