//! Queues: leases, receipts, dead letters and redrive as a consumer sees them.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Lane, Mesh, Topology, assert_fails, everywhere};

fn rpc(name: &str) -> String {
    format!("malla.queue.v1.QueueService/{name}")
}

async fn receive(user: &Lane, visibility_ms: i32, wait_ms: i32) -> Vec<Value> {
    let request = json!({"queue": "jobs", "max_messages": 10, "visibility_ms": visibility_ms, "wait_ms": wait_ms});
    let answer = user.call(&rpc("Receive"), request).await.unwrap();
    answer["messages"].as_array().unwrap().clone()
}

fn with(message: &Value, more: Value) -> Value {
    let mut request = json!({"queue": "jobs", "id": message["id"], "receipt": message["receipt"]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_delivered_until_acknowledged_and_stale_receipts_change_nothing() {
    everywhere(async |_, lane| {
        let user = lane.user("worker").await;
        let pushed = user.call(&rpc("Push"), json!({"queue": "jobs", "body": {"job": "one"}})).await.unwrap();
        let first = receive(&user, 1_000, 0).await.remove(0);
        assert_eq!(
            (&first["id"], &first["body"], &first["attempts"]),
            (&pushed["id"], &json!({"job": "one"}), &json!(1))
        );
        assert!(receive(&user, 1_000, 0).await.is_empty(), "leased");
        let second = receive(&user, 30_000, 5_000).await.remove(0);
        assert_eq!(second["attempts"], json!(2), "the lease had ended");
        assert_fails(user.call(&rpc("Ack"), with(&first, json!({}))).await, Code::FailedPrecondition, "receipt");
        let longer = with(&second, json!({"visibility_ms": 60_000}));
        assert!(user.call(&rpc("Extend"), longer).await.is_ok());
        for _ in 0..2 {
            assert_eq!(user.call(&rpc("Ack"), with(&second, json!({}))).await, Ok(json!({})), "ack can be repeated");
        }
        let stats = user.call(&rpc("GetStats"), json!({"queue": "jobs"})).await.unwrap();
        assert_eq!(["ready", "delayed", "leased", "dead"].map(|state| stats[state].as_i64()), [Some(0); 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_letters_and_can_be_redriven() {
    everywhere(async |_, lane| {
        let user = lane.user("worker").await;
        user.call(&rpc("Push"), json!({"queue": "jobs", "body": "poison"})).await.unwrap();
        for attempt in 1..=5 {
            let message = receive(&user, 30_000, 0).await.remove(0);
            assert_eq!(message["attempts"], json!(attempt));
            user.call(&rpc("Nack"), with(&message, json!({}))).await.unwrap();
        }
        assert!(receive(&user, 30_000, 0).await.is_empty());
        let dead = user.call(&rpc("ListDeadLetters"), json!({"queue": "jobs"})).await.unwrap();
        assert_eq!(
            (&dead["dead_letters"][0]["body"], &dead["dead_letters"][0]["attempts"]),
            (&json!("poison"), &json!(5))
        );
        let redriven = user.call(&rpc("Redrive"), json!({"queue": "jobs"})).await;
        assert_eq!(redriven, Ok(json!({"redriven": 1})));
        assert_eq!(receive(&user, 30_000, 0).await[0]["attempts"], json!(1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_refusals_that_store_nothing() {
    everywhere(async |_, lane| {
        let user = lane.user("worker").await;
        let push = |request: Value| {
            let user = user.clone();
            async move { user.call(&rpc("Push"), request).await }
        };
        let large = "x".repeat(300_000);
        assert_fails(push(json!({"queue": "jobs", "body": large})).await, Code::ResourceExhausted, "262144");
        assert_fails(push(json!({"queue": "no spaces", "body": 1})).await, Code::InvalidArgument, "queue");
        assert_fails(
            push(json!({"queue": "jobs", "body": 1, "delay_ms": -1})).await,
            Code::InvalidArgument,
            "delay_ms",
        );
        assert_eq!(user.call(&rpc("Count"), json!({"queue": "jobs"})).await, Ok(json!({"count": 0})));
        let keyed = json!({"queue": "jobs", "body": {"a": 1, "b": 2}, "idempotency_key": "k"});
        let (one, two) = (push(keyed.clone()).await.unwrap(), push(keyed).await.unwrap());
        assert_eq!(one["id"], two["id"]);
        let other = json!({"queue": "jobs", "body": {"a": 2}, "idempotency_key": "k"});
        assert_fails(push(other).await, Code::AlreadyExists, "k");
        assert_eq!(user.call(&rpc("Count"), json!({"queue": "jobs"})).await, Ok(json!({"count": 1})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_receiver_is_woken_by_a_push() {
    everywhere(async |_, lane| {
        let user = lane.user("worker").await;
        let waiting = tokio::spawn({
            let user = user.clone();
            async move { receive(&user, 30_000, 10_000).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = std::time::Instant::now();
        user.call(&rpc("Push"), json!({"queue": "jobs", "body": 1})).await.unwrap();
        assert_eq!(waiting.await.unwrap().len(), 1);
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_exactly_is_refused_not_changed() {
    let mesh = Mesh::start(Topology::OneProcess).await;
    let user = Lane::rest(&mesh).user("worker").await;
    let push = async |body: String| {
        let request = reqwest::Client::new().post(format!("{}/v1/queues/jobs/messages", mesh.edge()));
        let request = request.bearer_auth(user.token()).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for integer in ["9007199254740993", "-9007199254740993", "18446744073709551615"] {
        let (status, text) = push(format!("{{\"a\": [1, {integer}]}}")).await;
        assert!(status == 400 && text.contains("2^53") && text.contains("body.a[1]"), "{integer}: {status} {text}");
    }
    let (status, text) = push("9007199254740993".into()).await;
    assert!(status == 400 && text.contains(r#""field":"body""#), "the value itself: {status} {text}");
    assert_eq!(push("9007199254740992".into()).await.0, 200);
    // On the wire an array is two messages and an object three.
    for (open, close, depth_max) in [("[", "]", 48), ("{\"a\":", "}", 32)] {
        for (depth, expected) in [(30, 200), (depth_max, 200), (depth_max + 1, 400), (60, 400), (10_000, 400)] {
            let (status, text) = push(format!("{}1{}", open.repeat(depth), close.repeat(depth))).await;
            assert_eq!(status, expected, "{open} {depth} deep: {text}");
        }
    }
}

/// Large bodies keep every thread busy; whoever follows the authority must be heard all the same.
#[tokio::test(flavor = "multi_thread")]
async fn heavy_work_does_not_make_tokens_unverifiable() {
    let mesh = Mesh::start(Topology::OneProcess).await;
    let user = Lane::rest(&mesh).user("worker").await;
    let body = json!((0..12_000).map(|number| (number.to_string(), json!(1))).collect::<serde_json::Map<_, _>>());
    let pushes = (0..20).map(|_| {
        let (user, body) = (user.clone(), body.clone());
        tokio::spawn(async move { user.call(&rpc("Push"), json!({"queue": "jobs", "body": body})).await })
    });
    for outcome in futures_util::future::join_all(pushes).await {
        if let Err(failure) = outcome.unwrap() {
            assert!(!failure.message.contains("revoked"), "{failure:?}");
        }
    }
}
