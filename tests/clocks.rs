//! Clocks that jump by an hour under running processes: no token, lease or limit is stuck or lost with them.
//!
//! The processes run with Debian's libfaketime, which reads the offset from a file. Timers of the runtime go by a clock that
//! cannot jump, and that is not faked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use malla_servers::soak::{report, skip};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Lane, Mesh, Topology};

const FAULT: &str = "the clock jumps by an hour";

fn library() -> Option<PathBuf> {
    let dirs = ["/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    dirs.map(|dir| Path::new(dir).join("faketime/libfaketimeMT.so.1")).into_iter().find(|path| path.exists())
}

fn rpc(name: &str) -> String {
    format!("malla.queue.v1.QueueService/{name}")
}

async fn receive(user: &Lane, wait_ms: i32) -> Vec<Value> {
    let request = json!({"queue": "jobs", "max_messages": 10, "visibility_ms": 600_000, "wait_ms": wait_ms});
    user.call(&rpc("Receive"), request).await.unwrap()["messages"].as_array().unwrap().clone()
}

async fn refusal(user: &Lane) -> Option<Code> {
    user.call(&rpc("Count"), json!({"queue": "jobs"})).await.err().map(|failure| failure.code)
}

/// Logs in, again until all processes have seen the last jump: a token must be worth something to those that did not make it.
async fn log_in(lane: &Lane) -> Lane {
    let (start, credentials) = (Instant::now(), json!({"username": "worker", "password": "Secret1word"}));
    loop {
        let login = lane.call("malla.users.v1.UsersService/Login", credentials.clone()).await;
        let user = lane.with_token(login.expect("a login is not locked")["token"].as_str().unwrap());
        match refusal(&user).await {
            None => return user,
            refused => assert!(start.elapsed() < Duration::from_secs(15), "{refused:?}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_27_the_clock_jumps_under_the_whole_mesh() {
    let Some(library) = library() else { return skip(27, FAULT, "libfaketime is not installed") };
    let dir = tempfile::tempdir().unwrap();
    let offset = dir.path().join("offset");
    let jump = |by: &str| {
        let next = dir.path().join("next");
        std::fs::write(&next, by).unwrap();
        std::fs::rename(next, &offset).unwrap();
    };
    jump("+0");
    let settings = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("FAKETIME_CACHE_DURATION", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mesh = Mesh::start_with(Topology::ProcessPerService, &settings).await;
    let lane = Lane::rest(&mesh);
    let before = lane.user("worker").await;
    for body in ["a", "b"] {
        before.call(&rpc("Push"), json!({"queue": "jobs", "body": body})).await.unwrap();
    }
    let held = receive(&before, 0).await;
    assert_eq!(held.len(), 2);
    let ack = |message: &Value| json!({"queue": "jobs", "id": message["id"], "receipt": message["receipt"]});

    // Forth: what was to last ten minutes is over, early, and nothing else has happened.
    jump("+1h");
    let start = Instant::now();
    while refusal(&before).await != Some(Code::Unauthenticated) {
        assert!(start.elapsed() < Duration::from_secs(15), "a token outlives its hour");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let forth = log_in(&lane).await;
    let late = forth.call(&rpc("Ack"), ack(&held[0])).await;
    assert_eq!(late.unwrap_err().code, Code::FailedPrecondition, "the lease has ended");
    let again = receive(&forth, 5_000).await;
    assert_eq!(again.len(), 2, "both come again");
    forth.call(&rpc("Ack"), ack(&again[0])).await.unwrap();

    // Back: the lease lasts longer, and can be ended by its holder.
    jump("+0");
    while refusal(&before).await.is_some() {
        assert!(start.elapsed() < Duration::from_secs(60), "the token is good again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let back = log_in(&lane).await;
    assert_eq!(receive(&back, 0).await.len(), 0, "leased for an hour more");
    back.call(&rpc("Nack"), ack(&again[1])).await.unwrap();
    let last = receive(&back, 5_000).await;
    assert_eq!((last.len(), &last[0]["body"]), (1, &again[1]["body"]));
    back.call(&rpc("Ack"), ack(&last[0])).await.unwrap();
    let stats = back.call(&rpc("GetStats"), json!({"queue": "jobs"})).await.unwrap();
    assert_eq!(["ready", "delayed", "leased", "dead"].map(|state| stats[state].as_i64()), [Some(0); 4]);

    // No limit has locked up: many calls in a row.
    for _ in 0..100 {
        assert_eq!(refusal(&back).await, None);
    }
    report(27, FAULT, "tokens end with it; leases early or late; 0 lost, no login or call refused");
}
