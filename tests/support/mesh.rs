//! Meshes of real processes on ports of their own, with a data dir of their own, killed when dropped.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How the mesh is cut into processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    OneProcess,
    ProcessPerService,
}

/// Services in an order in which each can be given the addresses of those it calls.
const LEVELS: [&[&str]; 4] = [
    &["users"],
    &["availability", "comments", "queue", "files", "search", "beers"],
    &["pricing", "orders", "operations"],
    &["edge"],
];

/// The names of all services.
pub(crate) fn services() -> impl Iterator<Item = &'static str> {
    LEVELS.into_iter().flatten().copied().filter(|name| *name != "edge")
}

/// A running mesh.
pub(crate) struct Mesh {
    pub(crate) topology: Topology,
    processes: HashMap<String, Process>,
    addresses: HashMap<String, String>,
    settings: Vec<(String, String)>,
    data: TempDir,
}

/// A running `malla`, killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Name -> address, as the start-up table has them.
    pub(crate) addresses: HashMap<String, String>,
    /// Kept for as long as the process lives.
    data: Option<TempDir>,
}

impl Mesh {
    /// Starts a mesh on fresh stores.
    pub(crate) async fn start(topology: Topology) -> Self {
        Self::start_with(topology, &[]).await
    }

    /// Starts a mesh with settings: `("PRICING__WEATHER__BASE_URL", "http://...")`.
    pub(crate) async fn start_with(topology: Topology, settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut mesh = Self { topology, processes: HashMap::new(), addresses: HashMap::new(), settings, data };
        match topology {
            Topology::OneProcess => mesh.run("all").await,
            Topology::ProcessPerService => {
                for level in LEVELS {
                    let starting = level.iter().map(|target| mesh.spawn(target));
                    let started = futures_util::future::join_all(starting).await;
                    for (target, process) in level.iter().zip(started) {
                        mesh.adopt(target, process);
                    }
                }
            }
        }
        mesh.healthy().await;
        mesh
    }

    /// Waits until the edge has heard that every service serves.
    pub(crate) async fn healthy(&self) {
        self.services_are(|_, serving| serving).await;
    }

    /// Waits until the edge has heard that every service but one serves.
    pub(crate) async fn healthy_but(&self, down: &str) {
        self.services_are(|name, serving| serving || name == down).await;
    }

    /// Waits until the edge has heard that a service does not serve.
    pub(crate) async fn unwell(&self, down: &str) {
        self.services_are(|name, serving| !serving || name != down).await;
    }

    async fn services_are(&self, as_wanted: impl Fn(&str, bool) -> bool) {
        let looking = async {
            loop {
                let health: Option<serde_json::Value> = match reqwest::get(format!("{}/health", self.edge())).await {
                    Ok(answer) => answer.json().await.ok(),
                    Err(_) => None,
                };
                let services = health.as_ref().and_then(|health| health["services"].as_object());
                if services.is_some_and(|all| all.iter().all(|(name, state)| as_wanted(name, state == "SERVING"))) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, looking).await.expect("the services are as wanted");
    }

    /// Address of the edge: `http://127.0.0.1:40123`.
    pub(crate) fn edge(&self) -> &str {
        self.address("edge")
    }

    /// Address of a service's own port, or of "edge" or "admin".
    pub(crate) fn address(&self, name: &str) -> &str {
        self.addresses.get(name).unwrap_or_else(|| panic!("{name} has no port of its own"))
    }

    /// The folder with all that the mesh stores.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// The target whose process runs a service in this topology.
    pub(crate) fn process_of(&self, service: &str) -> &'static str {
        match self.topology {
            Topology::OneProcess => "all",
            Topology::ProcessPerService => {
                LEVELS.iter().copied().flatten().copied().find(|name| *name == service).unwrap()
            }
        }
    }

    /// Kills a target's process at once, as a crash would.
    pub(crate) async fn kill(&mut self, target: &str) {
        let mut process = self.processes.remove(target).unwrap();
        process.child.kill().await.unwrap();
    }

    /// The id of a target's process.
    pub(crate) fn pid(&self, target: &str) -> u32 {
        self.processes[target].child.id().expect("the process has not been waited for")
    }

    /// Sends a signal to a target's process.
    pub(crate) fn signal(&self, target: &str, name: &str) {
        self.processes[target].signal(name);
    }

    /// Sends SIGTERM and returns the exit status.
    pub(crate) async fn terminate(&mut self, target: &str) -> std::process::ExitStatus {
        let process = self.processes.remove(target).unwrap();
        process.signal("TERM");
        process.wait().await
    }

    /// Only one of its processes, to be watched as it ends.
    pub(crate) fn into_process(mut self, target: &str) -> Process {
        let mut process = self.processes.remove(target).unwrap();
        process.data = Some(self.data);
        process
    }

    /// Starts a target again on the ports it had.
    pub(crate) async fn restart(&mut self, target: &str) {
        self.run(target).await;
    }

    /// Has those that are started from now on find a service at another address.
    pub(crate) fn reroute(&mut self, service: &str, address: &str) {
        self.addresses.insert(service.to_owned(), address.to_owned());
    }

    async fn run(&mut self, target: &str) {
        let process = self.spawn(target).await;
        self.adopt(target, process);
    }

    fn adopt(&mut self, target: &str, process: Process) {
        for (name, address) in &process.addresses {
            if name != "admin" || target == "all" || target == "edge" {
                self.addresses.insert(name.clone(), address.clone());
            }
        }
        self.processes.insert(target.to_owned(), process);
    }

    async fn spawn(&self, target: &str) -> Process {
        let mut settings: Vec<(String, String)> = self.settings.clone();
        settings.insert(0, ("SHUTDOWN__NOTICE_MS".into(), "50".into()));
        let mut set = |key: &str, value: &str| settings.push((key.to_owned(), value.to_owned()));
        let mut arguments = vec!["run".to_owned()];
        if target == "all" {
            set("LISTEN__EDGE", self.port("edge"));
        } else {
            arguments.push(target.to_owned());
            set(&format!("LISTEN__{}", target.to_uppercase()), self.port(target));
            for (name, address) in &self.addresses {
                if name != "edge" && name != "admin" && name != target {
                    set(&format!("DISCOVERY__{}", name.to_uppercase()), address);
                }
            }
        }
        set("LISTEN__ADMIN", if target == "all" || target == "edge" { self.port("admin") } else { "off" });
        Process::start(&arguments, self.data.path(), &settings)
            .await
            .unwrap_or_else(|output| panic!("{target}: {output}"))
    }

    /// The port a name had before, or any free one.
    fn port(&self, name: &str) -> &str {
        self.addresses.get(name).map_or("127.0.0.1:0", |address| address.trim_start_matches("http://"))
    }
}

/// The binary under test.
pub(crate) fn malla() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_malla"));
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("MALLA_")) {
        command.env_remove(key);
    }
    // Not the repository: a malla.toml of the developer's must not change what is tested.
    command.current_dir(std::env::temp_dir());
    command.kill_on_drop(true);
    command
}

impl Process {
    /// Starts `malla` and waits until it serves. The error is what it printed before it ended.
    pub(crate) async fn start(
        arguments: &[String],
        data: &Path,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let mut command = malla();
        command.args(arguments).arg("--data-dir").arg(data);
        let is_own = |key: &str| !["OTEL_", "LD_", "FAKETIME"].iter().any(|other| key.starts_with(other));
        let variable = |key: &str| if is_own(key) { format!("MALLA_{key}") } else { key.to_owned() };
        command.envs(settings.iter().map(|(key, value)| (variable(key), OsString::from(value))));
        let log = log_file(data);
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses = HashMap::new();
        let table = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let words: Vec<&str> = line.split_whitespace().collect();
                match words[..] {
                    [name, address, ..] if address.starts_with("http://") && name != "curl" => {
                        addresses.insert(name.to_owned(), address.to_owned());
                    }
                    ["Try"] => return true,
                    _ => {}
                }
            }
            false
        };
        let started = tokio::time::timeout(START_TIMEOUT, table).await;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if started == Ok(true) {
            return Ok(Self { child, addresses, data: None });
        }
        let _ = child.kill().await;
        Err(std::fs::read_to_string(log).unwrap_or_default())
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the process has not been waited for").to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn wait(mut self) -> std::process::ExitStatus {
        tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.expect("it ends in time").unwrap()
    }
}

fn log_file(data: &Path) -> PathBuf {
    (0..).map(|number| data.join(format!("log.{number}"))).find(|path| !path.exists()).unwrap()
}
