use std::time::Instant;

use fred::prelude::KeysInterface as _;
use fred::types::{ClusterHash, CustomCommand};
use malla_servers::group::Group;
use malla_servers::proxy::{Faults, Proxy};
use malla_servers::tls::Certificates;
use malla_servers::{Kind, Server};

use super::*;

/// What a busy machine may need beyond the times that are set; far less than a command that nobody ends.
const SLACK: Duration = Duration::from_secs(3);
const COMMAND: Duration = Duration::from_millis(300);

async fn redis(server: &Server) -> Redis<()> {
    let command_ms = COMMAND.as_millis() as u64;
    let config = Config { url: Secret::new(server.url()), command_ms, ..Config::default() };
    Redis::open(&config, |client| async move { client.ping(None).await }).await.expect("connected")
}

async fn get(redis: &Redis<()>, again: Again) -> Result<Option<String>, Error> {
    redis.call(again, |client, ()| async move { client.get("k").await }).await
}

async fn is_back(redis: &Redis<()>) {
    let back = Instant::now();
    while let Err(error) = get(redis, Again::Never).await {
        assert!(back.elapsed() < SLACK, "it does not connect again: {error}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_fail_in_time_while_the_server_is_away_and_work_again_after() {
    let Some(mut server) = Server::start(Kind::Redis, &[]) else { return };
    let redis = redis(&server).await;
    for _ in 0..3 {
        server.kill();
        let asked = Instant::now();
        for _ in 0..3 {
            let error = get(&redis, Again::Harmless).await.expect_err("nobody answers");
            assert!(is_away(&error), "{error}");
        }
        assert!(asked.elapsed() < 3 * COMMAND + SLACK, "{:?}", asked.elapsed());
        server.restart();
        is_back(&redis).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_not_waited_for() {
    let Some(server) = Server::start(Kind::Redis, &[]) else { return };
    let redis = redis(&server).await;
    server.signal("STOP");
    for _ in 0..3 {
        let asked = Instant::now();
        let error = get(&redis, Again::Harmless).await.expect_err("nobody answers");
        assert!(is_away(&error), "{error}");
        assert!(asked.elapsed() < COMMAND + SLACK, "{:?}", asked.elapsed());
    }
    server.signal("CONT");
    is_back(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harmless_command_outlives_its_connection() {
    let Some(server) = Server::start(Kind::Redis, &[]) else { return };
    let redis = redis(&server).await;
    for (again, ends_well) in [(Again::Harmless, true), (Again::Never, false)] {
        let break_off = |client: Client, ()| async move {
            let kill = CustomCommand::new_static("CLIENT", ClusterHash::Random, false);
            let before: Option<String> = client.get("once").await?;
            if before.is_none() {
                client.set::<(), _, _>("once", "done", None, None, false).await?;
                let _: i64 = client.custom(kill, vec!["KILL", "TYPE", "normal", "SKIPME", "no"]).await?;
            }
            client.get::<Option<String>, _>("k").await
        };
        let _: () = redis.present().expect("connected").0.del("once").await.expect("a deletion");
        let result = redis.call(again, break_off).await;
        assert_eq!(result.is_ok(), ends_well, "{again:?}: {result:?}");
        is_back(&redis).await;
    }
}

#[test]
fn a_client_that_was_given_up_is_a_store_that_is_away() {
    // How fred turns the end of its own channels into an error.
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    drop(sender);
    let closed = Error::from(receiver.blocking_recv().expect_err("nobody sends"));
    let given_up = Error::new(ErrorKind::Unknown, "Too many failed write attempts.");
    for error in
        [closed, given_up, Error::new(ErrorKind::Unknown, "READONLY You can't write against a read only replica.")]
    {
        assert!(is_away(&error), "{error}");
    }
    for refused in ["ERR something else", "NOSCRIPT No matching script.", "WRONGTYPE"] {
        assert!(!is_away(&Error::new(ErrorKind::Unknown, refused)), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported() {
    let config = Config { url: Secret::new("redis://127.0.0.1:1"), command_ms: 300, ..Config::default() };
    let opened = Redis::open(&config, |client| async move { client.ping::<()>(None).await }).await;
    assert!(opened.expect_err("nobody listens").to_string().contains("refused"));
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    let config = Config { url: Secret::new("http://user:secret@host"), ..Config::default() };
    let error = config.check("queue").expect_err("refused").to_string();
    assert!(error.contains("queue.redis.url") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn with_tls_a_server_is_known_by_its_authority() {
    let Some(certificates) = Certificates::make() else { return };
    let port = malla_servers::free_port();
    let files = [certificates.certificate(), certificates.key(), certificates.authority()];
    let [certificate, key, authority] = files.map(|file| file.display().to_string());
    let options = ["--tls-auth-clients", "no", "--tls-port", &port.to_string(), "--tls-cert-file", &certificate];
    let files = ["--tls-key-file", &key, "--tls-ca-cert-file", &authority];
    let Some(server) = Server::start(Kind::Redis, &[&options[..], &files].concat()) else { return };
    let (scheme, _) = server.url().rsplit_once(':').expect("a port");
    let url = Secret::new(format!("{scheme}:{port}").replacen("redis", "rediss", 1));
    let ping = |client: Client| async move { client.ping::<()>(None).await };
    for host in ["127.0.0.1", "localhost"] {
        let url = Secret::new(url.expose().replace("127.0.0.1", host));
        let config = Config { url, ca_file: authority.clone(), ..Config::default() };
        config.check("queue").expect("good settings");
        let redis = Redis::open(&config, ping).await.expect("a server that is known");
        assert_eq!(get(&redis, Again::Never).await.expect("an answer"), None);
    }
    let stranger = Redis::open(&Config { url, ..Config::default() }, ping).await.expect_err("not known");
    assert!(stranger.to_string().contains("UnknownIssuer"), "{stranger}");
}

#[test]
fn authorities_are_a_file_of_certificates_and_for_tls() {
    let Some(certificates) = Certificates::make() else { return };
    let file = |path: std::path::PathBuf| path.display().to_string();
    for (url, ca_file) in [
        ("rediss://host", file(certificates.key())),
        ("rediss://host", "nowhere.pem".to_owned()),
        ("redis://host", file(certificates.authority())),
    ] {
        let error = Config { url: Secret::new(url), ca_file, ..Config::default() }.check("queue").expect_err("refused");
        assert!(error.to_string().contains("queue.redis.ca_file"), "{error}");
    }
}

/// Of a Cluster's or a Sentinel's nodes the first in the URL hangs.
#[tokio::test]
async fn one_node_that_hangs_does_not_keep_it_from_the_others() {
    let Some(cluster) = Group::cluster(0, &[]) else { return };
    let Some(sentinel) = Group::sentinel(&[]) else { return };
    for group in [cluster, sentinel] {
        let (password, nodes) = group.url().split_once('@').expect("a password");
        let (first, others) = nodes.split_once('?').expect("several nodes");
        let proxy = Proxy::start(first, 1).await;
        proxy.set(Faults { blackhole: true, ..Faults::default() });
        let url = Secret::new(format!("{password}@{}?{others}&node={first}", proxy.address()));
        let config = Config { url, ..Config::default() };
        let redis = Redis::open(&config, |client| async move { client.ping(None).await }).await.expect("connected");
        assert_eq!(get(&redis, Again::Never).await.expect("an answer"), None);
    }
}
