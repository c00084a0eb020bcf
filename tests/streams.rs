//! Server streams over REST in every framing, and over gRPC.

use std::time::Duration;

use futures_util::StreamExt as _;
use malla_contracts::malla::comments::v1::WatchCommentsRequest;
use malla_contracts::malla::comments::v1::comments_service_client::CommentsServiceClient;
use serde_json::{Value, json};

use crate::support::{Lane, Mesh, Topology};

const CREATE: &str = "malla.comments.v1.CommentsService/CreateComment";

async fn comment(lane: &Lane, text: &str) {
    lane.call(CREATE, json!({"content_id": "news", "email": "a@example.com", "comment": text})).await.unwrap();
}

/// What a stream has sent, read until it holds `part`.
async fn read_until(response: &mut reqwest::Response, seen: &mut String, part: &str) {
    let reading = async {
        while !seen.contains(part) {
            let piece = response.chunk().await.unwrap().expect("the stream goes on");
            seen.push_str(std::str::from_utf8(&piece).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap_or_else(|_| panic!("no {part:?} in {seen:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_comes_at_once_in_the_framing_asked_for() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        let lane = Lane::rest(&mesh);
        let rows = [
            ("application/json", "application/json", "[", "\n]"),
            ("application/x-ndjson", "application/x-ndjson", "{", "}\n"),
            ("text/event-stream", "text/event-stream", ":", "\n\n"),
        ];
        for (accept, kind, start, end) in rows {
            let http = reqwest::Client::new();
            let url = format!("{}/v1/contents/news/comments:watch", mesh.edge());
            let mut response = http.get(url).header("accept", accept).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind));
            let mut seen = String::new();
            for text in ["first", "second"] {
                comment(&lane, text).await;
                read_until(&mut response, &mut seen, text).await;
            }
            assert!(seen.trim_start().starts_with(start), "{seen:?}");
            if end == "\n\n" {
                let events = seen.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
                let said: Vec<Value> =
                    events.map(|event| serde_json::from_str::<Value>(event).unwrap()["comment"].clone()).collect();
                assert_eq!(said, [json!("first"), json!("second")]);
            }
            if end == "}\n" {
                read_until(&mut response, &mut seen, end).await;
                let rows: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!(rows[1]["comment"], json!("second"), "response_body holds for streams");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_by_shutdown_ends_with_an_error_not_as_a_whole_answer() {
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let url = format!("{}/v1/contents/news/comments:watch", mesh.edge());
    let mut response = reqwest::get(url).await.unwrap();
    let mut seen = String::new();
    comment(&Lane::rest(&mesh), "only one").await;
    read_until(&mut response, &mut seen, "only one").await;
    mesh.terminate("comments").await;
    read_until(&mut response, &mut seen, "error").await;
    while let Ok(Some(piece)) = response.chunk().await {
        seen.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let array: Value = serde_json::from_str(&seen).expect(&seen);
    assert_eq!(array[1]["error"]["code"], json!(14), "{array}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_over_grpc_get_every_comment_in_order() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        let mut client = CommentsServiceClient::connect(mesh.edge().to_owned()).await.unwrap();
        let watch = client.watch_comments(WatchCommentsRequest { content_id: "news".into() }).await.unwrap();
        let lane = Lane::rest(&mesh);
        for number in 0..20 {
            comment(&lane, &number.to_string()).await;
        }
        let texts = watch.into_inner().take(20).map(|item| item.unwrap().comment.unwrap().comment);
        let texts: Vec<String> = tokio::time::timeout(Duration::from_secs(10), texts.collect()).await.unwrap();
        assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
