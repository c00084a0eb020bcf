//! `malla edge` in front of gRPC servers it knows nothing of beforehand: here services of the mesh, each alone on a port.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use malla_contracts::malla::availability::v1::ListCitiesRequest;
use malla_contracts::malla::availability::v1::availability_service_client::AvailabilityServiceClient;
use malla_servers::tls::{Certificates, Terms};
use serde_json::Value;

use crate::support::{OPERATOR, Process, malla};

const NEVER_MS: &str = "80000000";

/// A service alone on a port.
async fn serve(service: &str, port: &str, data: &Path) -> Process {
    let settings = [("SHUTDOWN__NOTICE_MS", "0"), ("DISCOVERY__USERS", "http://127.0.0.1:1")];
    start(&["run", service, "--listen", port, "--admin", "off"], &settings, data).await
}

async fn start(arguments: &[&str], settings: &[(&str, &str)], data: &Path) -> Process {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Process::start(&arguments, data, &settings).await.unwrap_or_else(|output| panic!("{arguments:?}: {output}"))
}

async fn get(url: &str) -> (u16, Value) {
    let answer = reqwest::Client::new().get(url).bearer_auth(OPERATOR).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// Waits until a URL answers with a status.
async fn becomes(url: &str, status: u16) -> Value {
    let looking = async {
        loop {
            match get(url).await {
                (got, body) if got == status => return body,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("{url} is never {status}"))
}

/// A port nobody listens on, for long enough.
fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_starts_before_its_upstream_and_reads_it_again_on_sighup() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let upstream = format!("http://{port}");
    let arguments = ["edge", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let edge = start(&arguments, &[("EDGE__REFLECTION__INTERVAL_MS", NEVER_MS)], data.path()).await;
    let (address, admin) = (&edge.addresses["edge"], &edge.addresses["admin"]);
    let (status, answer) = get(&format!("{address}/v1/cities")).await;
    assert_eq!(status, 503);
    assert!(answer["message"].as_str().unwrap().contains(&format!("what {port} serves")), "{answer}");
    assert_eq!(get(&format!("{admin}/health/ready")).await.0, 503);

    let first = serve("availability", &port, data.path()).await;
    becomes(&format!("{admin}/health/ready"), 200).await;
    assert_eq!(get(&format!("{address}/v1/cities")).await.0, 200);
    let mut grpc = AvailabilityServiceClient::connect(address.clone()).await.unwrap();
    grpc.list_cities(ListCitiesRequest::default()).await.unwrap();
    assert_eq!(get(&format!("{address}/v1/queues/q/messages:count")).await.0, 404);

    first.signal("TERM");
    first.wait().await;
    becomes(&format!("{address}/health"), 503).await;
    assert_eq!(get(&format!("{address}/v1/cities")).await.0, 503, "its routes stay while it is down");
    let _second = serve("queue", &port, data.path()).await;
    becomes(&format!("{address}/health"), 200).await;
    assert_eq!(get(&format!("{address}/v1/cities")).await.0, 501, "nobody has asked yet what is there now");
    edge.signal("HUP");
    becomes(&format!("{address}/v1/cities"), 404).await;
    let (status, answer) = get(&format!("{address}/v1/queues/q/messages:count")).await;
    // The queue itself says that it cannot know these credentials, not the edge.
    assert_eq!((status, answer["code"].as_i64()), (401, Some(16)), "{answer}");
    edge.signal("TERM");
    assert_eq!(edge.wait().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_upstreams_come_from_the_settings_and_files_answer_before_a_backend() {
    let data = tempfile::tempdir().unwrap();
    let set = data.path().join("pricing.binpb");
    std::fs::write(&set, malla_contracts::descriptors::PRICING).unwrap();
    let cities = free_port();
    let config = data.path().join("edge.toml");
    let text = format!(
        "[upstreams.cities]\naddress = \"http://{cities}\"\nservices = [\"malla.availability.v1.AvailabilityService\"]\n\
         [upstreams.prices]\naddress = \"http://{}\"\ndescriptors = [\"{}\"]\n",
        free_port(),
        set.display()
    );
    std::fs::write(&config, text).unwrap();
    let _cities = serve("availability", &cities.to_string(), data.path()).await;
    let arguments =
        ["edge", "--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "off", "--threads", "1"];
    let edge = start(&arguments, &[], data.path()).await;
    let address = &edge.addresses["edge"];
    let (status, answer) = get(&format!("{address}/v1/products")).await;
    assert_eq!(status, 503);
    assert!(answer["message"].as_str().unwrap().contains("prices cannot be reached"), "{answer}");
    becomes(&format!("{address}/v1/cities"), 200).await;
    becomes(&format!("{address}/health/cities"), 200).await;
    assert_eq!(get(&format!("{address}/health/prices")).await.0, 503);
    let health = becomes(&format!("{address}/health"), 200).await;
    let trouble = health["troubles"]["prices"].as_str().unwrap();
    assert!(trouble.starts_with("prices cannot be reached: cannot connect: "), "one that serves is enough: {health}");
    assert_eq!(get(&format!("{address}/nowhere")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_with_tls_is_called_by_who_trusts_its_authority() {
    let (Some(ours), Some(others)) = (Certificates::make(), Certificates::make()) else { return };
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let _cities = serve("availability", &port.to_string(), data.path()).await;
    let port = ours.in_front_of(port, Terms { alpn: &["h2"], known_clients: true }).await.port();
    let (url, config) = (format!("https://localhost:{port}"), data.path().join("edge.toml"));
    for (trusted, known, trouble) in [
        (&ours, &ours, None),
        (&others, &ours, Some("no secure connection: its certificate is by an authority that is not trusted")),
        (&ours, &others, Some("received fatal alert")),
    ] {
        let text = format!(
            "[upstreams.cities]\naddress = \"{url}\"\nca_file = \"{}\"\nclient_cert_file = \"{}\"\n\
             client_key_file = \"{}\"\n",
            trusted.authority().display(),
            known.certificate().display(),
            known.key().display(),
        );
        std::fs::write(&config, text).unwrap();
        let arguments = ["edge", "--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "off"];
        let edge = start(&arguments, &[], data.path()).await;
        let address = &edge.addresses["edge"];
        let Some(trouble) = trouble else {
            becomes(&format!("{address}/health"), 200).await;
            assert_eq!(get(&format!("{address}/v1/cities")).await.0, 200);
            continue;
        };
        let told = async {
            loop {
                let (_, health) = get(&format!("{address}/health")).await;
                if health["troubles"]["cities"].as_str().is_some_and(|said| said.contains(trouble)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.unwrap_or_else(|_| panic!("never {trouble:?}"));
    }
    let ca_file = ours.authority();
    let arguments = ["edge", "--upstream", &url, "--ca-file", ca_file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let edge = start(&arguments, &[("LISTEN__ADMIN", "off")], data.path()).await;
    let (_, health) = get(&format!("{}/health", edge.addresses["edge"])).await;
    assert!(health["services"][format!("localhost:{port}")].is_string(), "{health}");
}

#[tokio::test]
async fn what_an_edge_cannot_stand_in_front_of_is_refused_in_one_line() {
    let rows: [(&[&str], i32, &[&str]); 9] = [
        (&["edge"], 64, &["upstreams", "--upstream http://host:port"]),
        (&["edge", "--upstream", "grpcs://a:1"], 64, &["--upstream", "grpcs://a:1", "https://host:port"]),
        (&["edge", "--upstream", "https://a:1", "--ca-file", "/no/such"], 64, &["--ca-file", "/no/such"]),
        (&["edge", "--upstream", "http://a:1", "--ca-file", "x"], 64, &["--ca-file", "https:// addresses only"]),
        (&["edge", "--ca-file", "x"], 64, &["--ca-file", "one --upstream"]),
        (&["edge", "--upstream", "http://a:1", "--upstream", "http://a:1/"], 64, &["--upstream", "twice"]),
        (&["edge", "--descriptors", "x"], 64, &["--descriptors", "one --upstream"]),
        (&["edge", "--upstream", "http://a:1", "--threads", "0"], 64, &["--threads", "1..=1024"]),
        (
            &["edge", "--upstream", "http://127.0.0.1:1", "--descriptors", "/no/such", "--listen", "127.0.0.1:0"],
            64,
            &["upstreams.127.0.0.1:1.descriptors: \"/no/such\" cannot be used"],
        ),
    ];
    for (arguments, code, parts) in rows {
        let output = malla().args(arguments).env("MALLA_LISTEN__ADMIN", "off").output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}

/// `--rules` and `--auto-mapping`, and the same from a file.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_serves_by_rules_and_maps_what_has_none() {
    let data = tempfile::tempdir().unwrap();
    let [port, away] = [free_port(), free_port()];
    let [upstream, away] = [format!("http://{port}"), format!("http://{away}")];
    let _cities = serve("availability", &port.to_string(), data.path()).await;
    let (rules, set, config) =
        (data.path().join("rules.yaml"), data.path().join("bare.binpb"), data.path().join("a.toml"));
    let selector = "malla.availability.v1.AvailabilityService.ListCities";
    std::fs::write(&rules, format!("http:\n  rules:\n  - {{selector: {selector}, get: /v2/towns}}\n")).unwrap();
    std::fs::write(&set, bare(data.path())).unwrap();
    let text = format!(
        "[edge]\nrules = [{rules:?}]\nauto_mapping = true\n[upstreams.cities]\naddress = {upstream:?}\n\
         [upstreams.bare]\naddress = {away:?}\ndescriptors = [{set:?}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let [rules, set, config] = [&rules, &set, &config].map(|path| path.to_str().unwrap());
    let mapped = "/bare.v1.Bare/Call";
    for (arguments, towns, cities, call) in [
        (vec!["--upstream", &upstream], 404, 200, 404),
        (vec!["--upstream", &upstream, "--rules", rules], 200, 405, 404),
        (vec!["--upstream", &away, "--descriptors", set], 404, 404, 404),
        (vec!["--upstream", &away, "--descriptors", set, "--auto-mapping"], 404, 404, 503),
        (vec!["--config", config], 200, 405, 503),
    ] {
        let arguments = [&["edge", "--listen", "127.0.0.1:0", "--admin", "off"], &*arguments].concat();
        let edge = start(&arguments, &[], data.path()).await;
        let address = &edge.addresses["edge"];
        if arguments.contains(&upstream.as_str()) || arguments.contains(&config) {
            becomes(&format!("{address}/v2/towns"), towns).await;
        }
        assert_eq!(get(&format!("{address}/v1/cities")).await.0, cities, "{arguments:?}");
        let answer = reqwest::Client::new().post(format!("{address}{mapped}")).send().await.unwrap();
        assert_eq!(answer.status(), call, "{arguments:?}");
    }
}

/// A service without rules, as descriptors.
fn bare(folder: &Path) -> Vec<u8> {
    let text = "syntax = \"proto3\"; package bare.v1; message M {} service Bare { rpc Call(M) returns (M); }";
    std::fs::write(folder.join("bare.proto"), text).unwrap();
    protox::Compiler::new([folder]).unwrap().open_file("bare.proto").unwrap().encode_file_descriptor_set()
}

/// What `check`, `explain` and `config` make of the settings of an edge, and that the mesh takes none of them.
#[tokio::test]
async fn settings_of_an_edge_are_checked_explained_and_shown_as_it_takes_them() {
    let data = tempfile::tempdir().unwrap();
    let path = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    std::fs::write(path("bare.binpb"), bare(data.path())).unwrap();
    std::fs::write(path("beers.binpb"), malla_contracts::descriptors::BEERS).unwrap();
    let one = "[upstreams.bare]\naddress = \"http://a:1\"\n";
    write(
        "rules.yaml",
        "http:\n  rules:\n  - {selector: bare.v1.Bare.Call, get: /v1/x, additional_bindings: [{get: /v1/x}]}\n",
    );
    write("own.yaml", "http:\n  rules:\n  - {selector: bare.v1.Bare.Call, get: /health}\n");
    let declared = format!("{one}descriptors = [\"{}\"]\n", path("bare.binpb"));
    write("plain.toml", &declared);
    write("auto.toml", &format!("[edge]\nauto_mapping = true\n{declared}"));
    let rules = format!("[edge]\nrules = [\"{}\"]\n", path("rules.yaml"));
    write("twice.toml", &format!("{rules}{declared}"));
    write("first.toml", &format!("{rules}duplicates = \"first\"\n{declared}"));
    write("asked.toml", one);
    write("both.toml", &format!("{declared}[upstreams.asked]\naddress = \"http://a:2\"\n"));
    write("wrong.toml", "[egde]\n");
    write("lost.toml", &format!("[[edge.routes]]\nselector = \"no.such.Service.*\"\nnames = \"proto\"\n{declared}"));
    write("same.toml", &format!("{declared}{}", declared.replace("upstreams.bare", "upstreams.also")));
    let rows: [(&str, i32, &str); 28] = [
        ("check --config plain.toml", 0, "0 bindings, 0 errors, 0 warnings"),
        ("check --config plain.toml --auto-mapping", 0, "1 bindings, 0 errors"),
        ("check --config auto.toml", 0, "1 bindings, 0 errors"),
        ("check --config auto.toml --descriptors beers.binpb", 0, ", 0 errors"),
        ("check --descriptors bare.binpb", 0, "0 bindings, 0 errors"),
        ("check --descriptors bare.binpb --auto-mapping", 0, "1 bindings, 0 errors"),
        ("check --config twice.toml", 1, "error[clash]: bare.v1.Bare.Call"),
        ("check --config first.toml", 0, "warning[clash]: bare.v1.Bare.Call"),
        ("check --descriptors bare.binpb --rules own.yaml", 1, "the edge answers this path itself"),
        ("check --config lost.toml", 1, "no.such.Service"),
        ("edge --config lost.toml --listen 127.0.0.1:0 --admin off", 1, "no.such.Service"),
        ("check --config lost.toml", 1, "edge.routes[0]: error[unknown-route]: "),
        ("check --config same.toml", 1, "bare.proto: error[served-twice]: bare.v1.Bare: served by also and by bare; "),
        ("check --config same.toml --json", 1, "\"method\": \"bare.v1.Bare\""),
        ("check --config both.toml", 0, "asked: not checked, its descriptors come by reflection"),
        ("check --config both.toml --json", 0, "\"unknown\": [\n    \"asked\"\n  ]"),
        ("check --config asked.toml", 64, "upstreams: \"bare\" cannot be used; "),
        ("check --config wrong.toml", 64, "egde"),
        ("check --rules none.yaml", 64, "edge.rules: \"none.yaml\" cannot be used; No such file"),
        ("check --descriptors none.binpb", 64, "--descriptors: \"none.binpb\" cannot be used; No such file"),
        ("routes explain GET /v1/x/ --config first.toml", 0, "404"),
        ("routes explain GET /v1/x --config first.toml", 0, "bare.v1.Bare.Call"),
        ("routes explain GET /v1/x?y=z --config first.toml", 0, "400: y: is not a field of this request"),
        ("routes explain POST /bare.v1.Bare/Call --config auto.toml", 0, "bare.v1.Bare.Call"),
        ("config --config auto.toml", 0, "auto_mapping = true"),
        ("config --config auto.toml", 0, "[upstreams.bare]\naddress = \"http://a:1\""),
        ("run --config plain.toml", 64, "upstreams: \"bare\" cannot be used; only `malla edge`"),
        ("routes --config plain.toml", 64, "`malla edge`"),
    ];
    for (line, code, expected) in rows {
        let output = malla().args(line.split(' ')).current_dir(data.path()).output().await.unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{line}: {text}");
        assert!(text.contains(expected), "{line}: {expected:?} in {text}");
    }
}
