//! Private PostgreSQL, Redis and RabbitMQ servers for tests, each in a folder and on a port of its own.
//!
//! They are started by `deploy/server`, and end when the test's process does, however it ends. On a machine without
//! one of them its tests say so and are skipped; under CI they fail instead. Beside them: a faulty network, and the
//! arithmetic and the report of fault tests.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

pub mod checker;
pub mod group;
pub mod proxy;
pub mod soak;
pub mod tls;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// Redis Sentinel, without a password.
    Sentinel,
    /// RabbitMQ.
    RabbitMq,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::RabbitMq => "rabbitmq",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Postgres => {
                Path::new("/usr/lib/postgresql").is_dir() || has("initdb") && has("pg_isready") && has("psql")
            }
            Self::Redis | Self::Sentinel => has("redis-server") && has("redis-cli"),
            Self::RabbitMq => Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists(),
        }
    }
}

fn has(program: &str) -> bool {
    let found = |dir: PathBuf| dir.join(program).exists();
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(found))
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    options: Vec<String>,
    port: u16,
    url: String,
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Starts a server with options of its own; `None`, loudly, where it is not installed.
    ///
    /// # Panics
    /// When it does not start, and where it is not installed under CI.
    #[must_use]
    pub fn start(kind: Kind, options: &[&str]) -> Option<Self> {
        Self::start_on(free_port(), kind, options, None)
    }

    /// With a password of its own, unless it is to have this one.
    fn start_on(port: u16, kind: Kind, options: &[&str], password: Option<&str>) -> Option<Self> {
        if !kind.is_installed() {
            let skip = format!("SKIP: {} is not installed; `make test-setup` does that", kind.name());
            assert!(std::env::var_os("CI").is_none(), "{skip}");
            say(&skip);
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        // PostgreSQL runs as a user of its own.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        if let Some(password) = password {
            std::fs::write(dir.path().join("password"), password).expect("a password");
        }
        let (child, url) = run(kind, dir.path(), port, &options);
        Some(Self { kind, options, port, url, child, dir })
    }

    /// Its address, with user and password: `postgres://...`, `redis://...`, `amqp://...`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of its data and its log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sends the server's process a signal by name: "KILL", "STOP", "CONT".
    ///
    /// # Panics
    /// When it has ended already.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).expect("a process id");
        let sent = Command::new("kill").args(["-s", name, pid.trim()]).status().expect("kill runs");
        assert!(sent.success(), "{} has ended", self.kind.name());
    }

    /// Tells a RabbitMQ something, as its operator.
    ///
    /// # Panics
    /// When it does not do so.
    pub fn rabbitmqctl(&self, arguments: &[&str]) {
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        command.arg("-q").args(arguments).env("HOME", self.dir.path());
        command.env("RABBITMQ_NODENAME", format!("malla-{}@localhost", self.port));
        let output = command.env("ERL_EPMD_PORT", (self.port + 2).to_string()).output().expect("rabbitmqctl runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Kills it at once, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal("KILL");
        // Waiting would close the pipe on its own: to the starter that means to stop, and to remove the data.
        let pipe = self.child.stdin.take();
        let _ = self.child.wait();
        drop(pipe);
    }

    /// Starts it again, after a kill, with the same data on the same port.
    pub fn restart(&mut self) {
        (self.child, self.url) = run(self.kind, self.dir.path(), self.port, &self.options);
    }
}

impl Drop for Server {
    /// Its starter stops it when the pipe closes; here it is only waited for, so that its folder can go.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn run(kind: Kind, dir: &Path, port: u16, options: &[String]) -> (Child, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/server");
    let mut child = Command::new(script)
        .args([kind.name(), &dir.display().to_string(), &port.to_string()])
        .args(options)
        .env("SERVER_THROWAWAY", "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("deploy/server runs");
    let mut url = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut url).expect("a line");
    let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    assert!(!url.is_empty(), "{} did not start: {}", kind.name(), log());
    (child, url.trim().to_owned())
}

/// A port that is free now, below those the kernel gives to outgoing connections, with two free ones above it
/// (RabbitMQ needs them). No other call of this process gives it again.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    loop {
        let step = NEXT.fetch_add(4, Ordering::Relaxed);
        let port = 10_000 + u16::try_from(first.wrapping_add(step) % 20_000).unwrap_or(0);
        if (port..port + 3).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return port;
        }
    }
}

/// A new, empty database on a PostgreSQL that all tests of this process share (without fsync: for what is stored, not
/// for what survives); `None`, loudly, where PostgreSQL is not installed.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn fresh_database() -> Option<String> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FAST: [&str; 6] = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"];
    let url = SHARED.get_or_init(|| Server::start(Kind::Postgres, &FAST)).as_ref()?.url();
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let create = format!("CREATE DATABASE {name}");
    let made = Command::new("psql").args([url, "--quiet", "--no-psqlrc", "-c", &create]).output().expect("psql runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (server, _) = url.rsplit_once('/').expect("a database's name");
    Some(format!("{server}/{name}"))
}

/// Printed past the test harness, which shows nothing of tests that pass.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
