//! Redis servers that are one store together: a Cluster, or a primary and its replica under three Sentinels.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Kind, Server, free_port};

const PASSWORD: &str = "shared-by-all";
/// By which Sentinels know the primary.
const NAME: &str = "malla";
/// A server that is silent for so long, in milliseconds, is taken for dead.
const SILENT_MS: &str = "1000";
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A running group.
#[derive(Debug)]
pub struct Group {
    /// Those that hold data.
    pub nodes: Vec<Server>,
    /// Where there are none it is a Cluster.
    sentinels: Vec<Server>,
    url: String,
}

impl Group {
    /// A Cluster of three primaries, with as many replicas each; `None`, loudly, where Redis is not installed.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn cluster(replicas: usize, options: &[&str]) -> Option<Self> {
        let node = || {
            let port = free_port();
            let bus = (port + 1).to_string();
            let of_cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", SILENT_MS];
            node(port, &[&of_cluster, options].concat())
        };
        let nodes: Vec<Server> = (0..3 * (1 + replicas)).map(|_| node()).collect::<Option<_>>()?;
        let addresses: Vec<String> = nodes.iter().map(address).collect();
        let create = [["--cluster", "create"].map(str::to_owned).to_vec(), addresses.clone()].concat();
        let options = ["--cluster-replicas", &replicas.to_string(), "--cluster-yes"].map(str::to_owned);
        let made = cli().args(create).args(options).output().expect("redis-cli runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let url = format!("redis-cluster://:{PASSWORD}@{}?node={}", addresses[0], addresses[1..].join("&node="));
        Some(Self { nodes, sentinels: Vec::new(), url }.ready())
    }

    /// A primary with one replica, and three Sentinels of which two have to agree; `None`, loudly, where Redis is not
    /// installed.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn sentinel(options: &[&str]) -> Option<Self> {
        let primary = node(free_port(), options)?;
        let port = primary.port.to_string();
        let replica = node(free_port(), &[&["--replicaof", "127.0.0.1", &port], options].concat())?;
        let settings = format!(
            "--sentinel monitor {NAME} 127.0.0.1 {port} 2 --sentinel auth-pass {NAME} {PASSWORD} \
             --sentinel down-after-milliseconds {NAME} {SILENT_MS} --sentinel failover-timeout {NAME} 3000"
        );
        let settings: Vec<&str> = settings.split_whitespace().collect();
        let sentinel = || Server::start(Kind::Sentinel, &settings);
        let sentinels: Vec<Server> = (0..3).map(|_| sentinel()).collect::<Option<_>>()?;
        let addresses: Vec<String> = sentinels.iter().map(address).collect();
        let others = addresses[1..].join("&node=");
        let url = format!("redis-sentinel://:{PASSWORD}@{}?sentinelServiceName={NAME}&node={others}", addresses[0]);
        Some(Self { nodes: vec![primary, replica], sentinels, url }.ready())
    }

    /// Its address, with all nodes, as Malla's settings take it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which node is the primary that has this key, if there is one now.
    #[must_use]
    pub fn primary(&self, key: &str) -> Option<usize> {
        let has = |node: &Server| {
            // In a Cluster the others, and their replicas, say where it is.
            ask(node, &["ROLE"]).starts_with("master") && ask(node, &["EXISTS", key]).trim().parse::<u8>().is_ok()
        };
        self.nodes.iter().position(has)
    }

    /// Starts a node that was killed, when another is in its place, and waits until all replicas have what they follow.
    ///
    /// # Panics
    /// When that takes half a minute.
    pub fn rejoin(&mut self, node: usize) {
        self.nodes[node].restart();
        // A Sentinel takes its time over this; a Cluster's node sees to it itself.
        if let Some(primary) = (0..self.nodes.len()).find(|&other| other != node).filter(|_| !self.sentinels.is_empty())
        {
            let port = self.nodes[primary].port.to_string();
            ask(&self.nodes[node], &["REPLICAOF", "127.0.0.1", &port]);
        }
        self.wait();
    }

    /// Lets a replica take the place of a Cluster's primary that has this key, in order, and waits until it has.
    ///
    /// # Panics
    /// When there is none that could.
    pub fn hand_over(&self, key: &str) {
        let primary = self.primary(key).expect("a primary");
        let port = self.nodes[primary].port.to_string();
        let follows = |node: &&Server| ask(node, &["ROLE"]).lines().nth(2) == Some(&port);
        let replica = self.nodes.iter().find(follows).expect("a replica");
        assert_eq!(ask(replica, &["CLUSTER", "FAILOVER"]).trim(), "OK");
        let start = Instant::now();
        while self.primary(key).is_none_or(|now| now == primary) {
            assert!(start.elapsed() < READY_TIMEOUT, "it does not take over");
            sleep(Duration::from_millis(10));
        }
    }

    fn ready(self) -> Self {
        self.wait();
        self
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.is_ready() {
            assert!(start.elapsed() < READY_TIMEOUT, "{} is not ready", self.url);
            sleep(Duration::from_millis(50));
        }
    }

    /// Whether everybody knows everybody, each replica has what its primary has, and each primary has as many.
    fn is_ready(&self) -> bool {
        let replicates = |node: &Server| {
            let said = ask(node, &["INFO", "replication"]);
            !said.contains("role:slave") || said.contains("master_link_status:up")
        };
        let primaries = self.nodes.iter().filter(|node| ask(node, &["ROLE"]).starts_with("master")).count();
        let is_agreed = if self.sentinels.is_empty() {
            let is_ok = |node: &Server| ask(node, &["CLUSTER", "INFO"]).contains("cluster_state:ok");
            primaries == 3 && self.nodes.iter().all(is_ok)
        } else {
            let is_ok = |sentinel: &Server| {
                let said = ask(sentinel, &["INFO", "sentinel"]);
                said.contains("status=ok") && said.contains("slaves=1,sentinels=3")
            };
            primaries == 1 && self.sentinels.iter().all(is_ok)
        };
        is_agreed && self.nodes.iter().all(replicates)
    }
}

fn node(port: u16, options: &[&str]) -> Option<Server> {
    let of_all = ["--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"];
    Server::start_on(port, Kind::Redis, &[&of_all, options].concat(), Some(PASSWORD))
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port)
}

fn cli() -> Command {
    let mut command = Command::new("redis-cli");
    command.env("REDISCLI_AUTH", PASSWORD);
    command
}

/// What a server says; nothing if it is away.
fn ask(server: &Server, command: &[&str]) -> String {
    let said = cli().args(["-p", &server.port.to_string()]).args(command).output().expect("redis-cli runs");
    String::from_utf8_lossy(&said.stdout).into_owned()
}
