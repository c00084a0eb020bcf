//! Long-running operations: only their owner's, and an error for every other.

use serde_json::json;
use tonic::Code;

use crate::support::{assert_fails, everywhere};

fn rpc(name: &str) -> String {
    format!("google.longrunning.Operations/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_callers_is_not_found() {
    everywhere(async |_, lane| {
        let user = lane.user("owner").await;
        let list = json!({"name": "operations"});
        assert_eq!(user.call(&rpc("ListOperations"), list.clone()).await.unwrap()["operations"], json!([]));
        assert_fails(lane.call(&rpc("ListOperations"), list).await, Code::Unauthenticated, "credentials");
        for method in ["GetOperation", "DeleteOperation", "CancelOperation"] {
            let outcome = user.call(&rpc(method), json!({"name": "operations/nope"})).await;
            assert_fails(outcome, Code::NotFound, "operations/nope");
        }
        let filtered = json!({"name": "operations", "filter": "done"});
        assert_fails(user.call(&rpc("ListOperations"), filtered).await, Code::InvalidArgument, "filter");
    })
    .await;
}
