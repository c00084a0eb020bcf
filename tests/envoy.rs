//! The edge beside a live Envoy: the same backend, the same descriptors, the same requests, and where the two disagree.
//!
//! Runs where `MALLA_ENVOY` names an Envoy binary, which `make conformance` sees to; Envoy's column holds what 1.40's
//! `grpc_json_transcoder` answers by default, so that a claim about it in the README stays one that was seen.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{Process, malla};

mod backend;
mod rows;

use rows::{ROWS, Row};

/// Asks both, row by row; everything that is not as the table has it is reported at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_edge_and_envoy_answer_as_the_table_of_their_disagreements_has_it() {
    let Some(binary) = std::env::var_os("MALLA_ENVOY") else {
        eprintln!("SKIPPED: no Envoy beside the edge; `make conformance` fetches one and sets MALLA_ENVOY");
        return;
    };
    let lab = Lab::start(Path::new(&binary), "lab.proto").await;
    let malla = lab.malla().await;
    let edge = malla.addresses["edge"].trim_start_matches("http://").to_owned();

    let mut wrong = Vec::new();
    eprintln!("| | request | Envoy | Malla |\n| --- | --- | --- | --- |");
    for row in ROWS {
        let answers = [ask(&lab.envoy.address, row).await, ask(&edge, row).await];
        eprintln!("| {} | `{} {}` | {} | {} |", row.name, row.method, row.target, answers[0], answers[1]);
        for (who, expected, answer) in [("Envoy", &row.envoy, &answers[0]), ("Malla", &row.malla, &answers[1])] {
            if answer.status != expected.0 || !answer.holds(expected.1) {
                wrong.push(format!("{} {}: {who} gives {answer}, not {expected:?}", row.name, row.target));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Envoy 1.40 takes no variable behind `**`; corpora have them.
#[tokio::test(flavor = "multi_thread")]
async fn a_variable_behind_any_number_of_segments_is_refused_by_envoy_and_served_here() {
    let Some(binary) = std::env::var_os("MALLA_ENVOY") else { return };
    let (folder, descriptors) = files("depths.proto");
    let config = Envoy::config(&folder, &descriptors, 1, 1);
    let mut validate = Command::new(&binary);
    validate.args(["--mode", "validate", "-c"]).arg(&config);
    let validated = validate.output().await.unwrap();
    assert!(!validated.status.success(), "Envoy has learnt it");
    let upstream = backend::start().await;
    let malla = malla_edge(&folder, &descriptors, upstream).await;
    let row = Row { target: "/v1/depths/a/b/c", ..ROWS[0] };
    let answer = ask(malla.addresses["edge"].trim_start_matches("http://"), &row).await;
    assert!(answer.status == 200 && answer.holds(r#"{"id":"a/b","name":"c"}"#), "{answer}");
}

/// Envoy says nothing, and serves neither of them.
#[tokio::test(flavor = "multi_thread")]
async fn two_methods_of_one_route_are_told_apart_before_they_are_served() {
    let Some(binary) = std::env::var_os("MALLA_ENVOY") else { return };
    let lab = Lab::start(Path::new(&binary), "twice.proto").await;
    let row = Row { target: "/v1/twice/a", ..ROWS[0] };
    let answer = ask(&lab.envoy.address, &row).await;
    assert!(answer.holds("grpc-status: 12"), "{answer}");
    let check = malla().args(["check", "--descriptors"]).arg(&lab.descriptors).output().await.unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(!check.status.success() && said.contains("Lab.One") && said.contains("Lab.Two"), "{said}");
}

/// The descriptors of a proto, in a folder of their own.
fn files(proto: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let descriptors = folder.path().join("lab.binpb");
    std::fs::write(&descriptors, backend::descriptors(proto)).unwrap();
    (folder, descriptors)
}

async fn malla_edge(folder: &TempDir, descriptors: &Path, upstream: u16) -> Process {
    let arguments = ["edge", "--listen", "127.0.0.1:0", "--admin", "off", "--upstream"].map(str::to_owned);
    let files = [format!("http://127.0.0.1:{upstream}"), "--descriptors".to_owned(), descriptors.display().to_string()];
    Process::start(&[&arguments[..], &files].concat(), folder.path(), &[]).await.unwrap()
}

/// A backend, and Envoy in front of it.
struct Lab {
    folder: TempDir,
    descriptors: PathBuf,
    upstream: u16,
    envoy: Envoy,
}

impl Lab {
    async fn start(binary: &Path, proto: &str) -> Self {
        let (folder, descriptors) = files(proto);
        let upstream = backend::start().await;
        let envoy = Envoy::start(binary, &folder, &descriptors, upstream).await;
        Self { folder, descriptors, upstream, envoy }
    }

    /// The edge in front of the same backend.
    async fn malla(&self) -> Process {
        malla_edge(&self.folder, &self.descriptors, self.upstream).await
    }
}

/// What came back, headers included.
struct Answer {
    status: u16,
    whole: String,
}

impl Answer {
    /// Whether it holds a text; after a `!`, whether it does not.
    fn holds(&self, text: &str) -> bool {
        text.strip_prefix('!').map_or_else(|| self.whole.contains(text), |text| !self.whole.contains(text))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.whole.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: String = body.replace(['\r', '\n'], " ").chars().take(100).collect();
        write!(formatter, "{} `{body}`", self.status)
    }
}

/// One request on a connection of its own, as it is: a client library would tidy the target up.
async fn ask(address: &str, row: &Row) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{} {} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n", row.method, row.target);
    for header in row.headers {
        request.push_str(&format!("{header}\r\n"));
    }
    if !row.body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", row.body.len()));
    }
    stream.write_all(format!("{request}\r\n{}", row.body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("an answer in time");
    let whole = joined(&String::from_utf8_lossy(&answer));
    let status = whole.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, whole }
}

/// An answer with its chunks, if it has any, put together.
fn joined(answer: &str) -> String {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return answer.to_owned() };
    if !head.contains("transfer-encoding: chunked") {
        return answer.to_owned();
    }
    let (mut whole, mut rest) = (format!("{head}\r\n\r\n"), body);
    while let Some((length, tail)) = rest.split_once("\r\n") {
        let Some((chunk, tail)) = usize::from_str_radix(length, 16).ok().and_then(|at| tail.split_at_checked(at))
        else {
            break;
        };
        whole.push_str(chunk);
        rest = tail.trim_start_matches("\r\n");
    }
    whole
}

/// A running Envoy, killed when dropped.
struct Envoy {
    address: String,
    _process: Child,
}

impl Envoy {
    /// Writes its configuration.
    fn config(folder: &TempDir, descriptors: &Path, port: u16, upstream: u16) -> PathBuf {
        let config = include_str!("envoy/envoy.yaml")
            .replace("LISTEN_PORT", &port.to_string())
            .replace("UPSTREAM_PORT", &upstream.to_string())
            .replace("DESCRIPTORS", &descriptors.display().to_string());
        let file = folder.path().join("envoy.yaml");
        std::fs::write(&file, config).unwrap();
        file
    }

    async fn start(binary: &Path, folder: &TempDir, descriptors: &Path, upstream: u16) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = Self::config(folder, descriptors, port, upstream);
        let log = std::fs::File::create(folder.path().join("envoy.log")).unwrap();
        let mut command = Command::new(binary);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"]).arg(&file);
        let process = command.stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn().unwrap();
        let address = format!("127.0.0.1:{port}");
        let up = async {
            while TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), up).await.is_err() {
            panic!("{}", std::fs::read_to_string(folder.path().join("envoy.log")).unwrap());
        }
        Self { address, _process: process }
    }
}
