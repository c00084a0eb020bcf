//! What the scenarios stand on: meshes of real processes, and lanes to call them through.

mod lane;
mod mesh;

pub(crate) use lane::{Failure, Lane, pool};
pub(crate) use mesh::{Mesh, Topology, malla};
use tonic::Code;

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
