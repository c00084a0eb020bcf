//! What the scenarios stand on: meshes of real processes, and lanes to call them through.

use std::time::Duration;

use malla_servers::checker::Outcome;
use serde_json::Value;
use tonic::Code;

pub(crate) mod hop;
mod lane;
pub(crate) mod load;
mod mesh;

pub(crate) use lane::{Failure, Lane, pool};
pub(crate) use mesh::{Mesh, Process, Topology, malla, services};

/// The operators' token of a fresh development setup.
pub(crate) const OPERATOR: &str = "2234hj234h2kkjjh42kjj2b20asd6918";

/// Runs a scenario over every topology and lane, each on a fresh mesh.
pub(crate) async fn everywhere<F: AsyncFn(&Mesh, &Lane)>(scenario: F) {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        for rest in [true, false] {
            let mesh = Mesh::start(topology).await;
            let lane = if rest { Lane::rest(&mesh) } else { Lane::grpc(&mesh).await };
            eprintln!("{topology:?}, {} lane", if rest { "REST" } else { "gRPC" });
            scenario(&mesh, &lane).await;
        }
    }
}

/// Asserts that a call failed with a code and a message that holds `part`.
#[track_caller]
pub(crate) fn assert_fails<T: std::fmt::Debug>(outcome: Result<T, Failure>, code: Code, part: &str) {
    let failure = outcome.expect_err("the call was to fail");
    assert_eq!(failure.code, code, "{}", failure.message);
    assert!(failure.message.contains(part), "{part:?} in {:?}", failure.message);
}

/// A random time between two, so that kills hit everywhere.
pub(crate) fn between(from: u64, to: u64) -> Duration {
    let random = u64::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[8..].try_into().unwrap());
    Duration::from_millis(from + random % (to - from))
}

/// How a call ended for a checker: only a definite refusal is a failure.
pub(crate) fn outcome(ended: &Option<Result<Value, Failure>>) -> Outcome {
    match ended {
        Some(Ok(_)) => Outcome::Ok,
        Some(Err(failure)) if matches!(failure.code, Code::ResourceExhausted | Code::InvalidArgument) => {
            Outcome::Failed
        }
        _ => Outcome::Unknown,
    }
}
