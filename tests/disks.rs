//! Disks that are full or fail, and processes that die while they write files.
//!
//! Each test is a row of the table that `make soak` prints; `make test` runs a few rounds of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use malla_servers::checker::{Checker, Outcome};
use malla_servers::soak::{report, rounds, skip};
use serde_json::json;
use tonic::Code;

use crate::support::{Lane, Mesh, Topology, between, outcome};

/// An 8 MiB file system of memory, unmounted when dropped; `None` where it may not be made.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "malla-test"]).arg(dir).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir.to_owned()))
    }

    /// Leaves this much room.
    fn fill(&self, left: usize) {
        let filler = self.0.join("filler");
        let _ = std::fs::remove_file(&filler);
        let free = rustix::fs::statvfs(&self.0).unwrap();
        let free = usize::try_from(free.f_bavail * free.f_frsize).unwrap();
        std::fs::write(filler, vec![1; free.saturating_sub(left)]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sees all comments on content `c`.
async fn see(mesh: &Mesh, checker: &mut Checker) {
    let mut page = String::new();
    loop {
        let request = json!({"content_id": "c", "page_size": 100, "page_token": page});
        let list = Lane::rest(mesh).call("malla.comments.v1.CommentsService/ListComments", request).await.unwrap();
        for row in list["comments"].as_array().unwrap() {
            checker.seen(row["comment"].as_str().unwrap());
        }
        page = list["next_page_token"].as_str().unwrap_or_default().to_owned();
        if page.is_empty() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_24_disk_full() {
    const FAULT: &str = "disk full (8 MiB)";
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path()) else { return skip(24, FAULT, "a tmpfs cannot be mounted") };
    let (database, files) = (disk.0.join("comments.db"), disk.0.join("files"));
    let url = format!("sqlite://{}?mode=rwc", database.display());
    let settings = [
        ("COMMENTS__DATABASE__URL", url.as_str()),
        ("FILES__ROOT", files.to_str().unwrap()),
        ("SEARCH__ROOT", files.to_str().unwrap()),
    ];
    let mut mesh = Mesh::start_with(Topology::OneProcess, &settings).await;
    let lane = Lane::rest(&mesh).user("writer").await;
    let mut checker = Checker::default();
    let comment = async |checker: &mut Checker, name: String| {
        let request = json!({"content_id": "c", "email": "a@example.com", "comment": name});
        let ended = lane.call("malla.comments.v1.CommentsService/CreateComment", request).await;
        checker.attempted(name, if ended.is_ok() { Outcome::Ok } else { Outcome::Failed });
        ended.err().map(|failure| failure.code)
    };
    let upload = async |bytes: usize| {
        let request = reqwest::Client::new().put(format!("{}/v1/files/big.bin", mesh.edge())).bearer_auth(lane.token());
        request.body(vec![7; bytes]).send().await.unwrap().status().as_u16()
    };

    assert_eq!(comment(&mut checker, "before".into()).await, None);
    disk.fill(64 << 10);
    let mut refused = None;
    for number in 0..400 {
        refused = comment(&mut checker, format!("{number} {}", "x".repeat(900))).await;
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused, Some(Code::ResourceExhausted), "a full disk is said to be full");
    let status = upload(2 << 20).await;
    assert!(matches!(status, 429 | 507), "{status}");
    assert!(!files.join("big.bin").exists(), "no part of a file is to be seen");

    disk.free();
    assert_eq!(comment(&mut checker, "after".into()).await, None, "it works again");
    assert_eq!(upload(1 << 20).await, 201);
    mesh.kill("all").await;
    mesh.restart("all").await;
    see(&mesh, &mut checker).await;
    let verdict = checker.verdict();
    report(24, FAULT, verdict);
    assert_eq!((verdict.lost, verdict.unexpected, verdict.duplicated), (0, 0, 0), "{verdict}");
}

/// A file is the old one or the new one, whole; nothing else is left of an upload that died.
#[tokio::test(flavor = "multi_thread")]
async fn row_26_files_service_dies_in_an_upload() {
    const BYTES: usize = 3 << 20;
    let mut rounds = rounds(7);
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let lane = Lane::rest(&mesh).user("sender").await;
    let http = reqwest::Client::new();
    let url = format!("{}/v1/files/big.bin", mesh.edge());
    let (mut torn, mut interrupted) = (0, 0);
    for round in rounds.by_ref() {
        let version = u8::try_from(round % 251).unwrap();
        let pieces = futures_util::stream::iter(
            (0..BYTES / 65_536).map(move |_| Ok::<_, std::io::Error>(vec![version; 65_536])),
        );
        let sending = http.put(&url).bearer_auth(lane.token()).body(reqwest::Body::wrap_stream(pieces)).send();
        let sending = tokio::spawn(sending);
        tokio::time::sleep(between(2, 60)).await;
        mesh.kill("files").await;
        let stored = sending.await.unwrap().is_ok_and(|response| response.status() == 201);
        interrupted += usize::from(!stored);
        mesh.restart("files").await;
        mesh.healthy().await;
        let found = http.get(&url).send().await.unwrap();
        if found.status() == 200 {
            let bytes = found.bytes().await.unwrap();
            torn += usize::from(bytes.len() != BYTES || bytes.iter().any(|byte| *byte != bytes[0]));
            assert!(!stored || bytes[0] == version, "an acknowledged upload is the file");
        } else {
            assert!(!stored, "an acknowledged upload is there");
        }
        let files = std::fs::read_dir(mesh.data_dir().join("files")).unwrap();
        let hidden = files.filter(|file| file.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b"."));
        assert_eq!(hidden.count(), 0, "something is left of an upload");
    }
    report(
        26,
        "files service killed in an upload",
        format_args!("{torn} torn files, {interrupted} interrupted; {}", rounds.bound()),
    );
    assert_eq!(torn, 0);
}

/// `fdatasync` and `fsync` fail while it lives; `None` where strace is missing or may not.
struct FailingSync {
    strace: Child,
    /// Kept open: strace ends when it cannot speak.
    _said: BufReader<ChildStderr>,
}

impl FailingSync {
    fn of(pid: u32, log: &Path, after: Duration) -> Option<Self> {
        let inject = format!("inject=fsync,fdatasync:error=EIO:delay_enter={}", after.as_micros().max(1));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-e", "trace=fsync,fdatasync", "-e", &inject, "-o"])
            .arg(log)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::piped());
        let mut strace = command.spawn().ok()?;
        let (mut said, mut line) = (BufReader::new(strace.stderr.take()?), String::new());
        // "Process 123 attached", or why not.
        said.read_line(&mut line).ok()?;
        if !line.contains("attached") {
            return None;
        }
        let failing = Self { strace, _said: said };
        for _ in 0..400 {
            if is_traced(pid) {
                return Some(failing);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("a thread is not traced");
    }
}

/// Whether all threads are: one that was begun while strace came may not be, as long as it lives.
fn is_traced(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}

impl Drop for FailingSync {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-s", "INT", &self.strace.id().to_string()]).status();
        let _ = self.strace.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_25_disk_does_not_sync() {
    const FAULT: &str = "fsync fails with EIO";
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let lane = Lane::grpc(&mesh).await;
    let comment = async |checker: &mut Checker, name: String| {
        let request = json!({"content_id": "c", "email": "a@example.com", "comment": name});
        let ended = lane.call_or_lose("malla.comments.v1.CommentsService/CreateComment", request).await;
        let ended = outcome(&ended);
        checker.attempted(name, ended);
        ended == Outcome::Ok
    };
    let mut checker = Checker::default();
    // Opens all the connections there will be, each a thread.
    let before: Vec<_> = (0..32).map(|number| format!("before-{number}")).collect();
    let request = |name: &String| json!({"content_id": "c", "email": "a@example.com", "comment": name});
    let create = |name| lane.call("malla.comments.v1.CommentsService/CreateComment", request(name));
    futures_util::future::try_join_all(before.iter().map(create)).await.unwrap();
    before.into_iter().for_each(|name| checker.attempted(name, Outcome::Ok));
    let log = mesh.data_dir().join("strace.log");
    let Some(failing) = FailingSync::of(mesh.pid("comments"), &log, Duration::ZERO) else {
        return skip(25, FAULT, "strace is missing or may not trace");
    };
    for number in 0..10 {
        assert!(!comment(&mut checker, format!("during-{number}")).await, "what was not synced is not acknowledged");
    }
    let failed = Instant::now();
    mesh.unwell("comments").await;
    let noticed = failed.elapsed();
    drop(failing);
    assert!(std::fs::read_to_string(log).unwrap().contains("INJECTED"), "the fault was there");
    // Longer than it takes to look again: nobody knows what the disk has kept, until the file is opened anew.
    let healed = Instant::now();
    while healed.elapsed() < Duration::from_secs(3) {
        assert!(!comment(&mut checker, format!("healed-{:?}", healed.elapsed())).await, "it needs a restart");
    }
    mesh.unwell("comments").await;
    mesh.kill("comments").await;
    mesh.restart("comments").await;
    mesh.healthy().await;
    assert!(comment(&mut checker, "after".into()).await, "it works again");
    see(&mesh, &mut checker).await;
    let verdict = checker.verdict();
    report(25, FAULT, format_args!("{verdict}; not serving {noticed:.1?} later"));
    assert_eq!((verdict.lost, verdict.unexpected, verdict.duplicated), (0, 0, 0), "{verdict}");
}

/// Who asked has left before the disk has answered; the service knows all the same.
#[tokio::test(flavor = "multi_thread")]
async fn row_25_disk_does_not_sync_and_nobody_waits_for_it() {
    const FAULT: &str = "fsync fails with EIO when its caller has left";
    const FAILS_AFTER: Duration = Duration::from_millis(1_000);
    let mesh = Mesh::start(Topology::ProcessPerService).await;
    let lane = Lane::grpc(&mesh).await.user("pusher").await;
    let push = || lane.call("malla.queue.v1.QueueService/Push", json!({"queue": "q", "body": "x"}));
    futures_util::future::try_join_all((0..32).map(|_| push())).await.unwrap();
    let log = mesh.data_dir().join("strace.log");
    let Some(_failing) = FailingSync::of(mesh.pid("queue"), &log, FAILS_AFTER) else {
        return skip(25, FAULT, "strace is missing or may not trace");
    };
    let began = Instant::now();
    let leaving = async {
        loop {
            // Once it is known, the answer comes at once.
            let ended = tokio::time::timeout(FAILS_AFTER / 3, push()).await;
            assert!(!matches!(ended, Ok(Ok(_))), "what was not synced is not acknowledged");
        }
    };
    tokio::select! {
        () = mesh.unwell("queue") => {}
        () = leaving => {}
    }
    assert!(std::fs::read_to_string(log).unwrap().contains("INJECTED"), "the fault was there");
    report(25, FAULT, format_args!("not serving {:.1?} later", began.elapsed()));
}
