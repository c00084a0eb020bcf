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
                let events = seen.split("\n\n").filter_map(|event| Some(event.split_once("data: ")?.1));
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
        let watch = client
            .watch_comments(WatchCommentsRequest { content_id: "news".into(), ..Default::default() })
            .await
            .unwrap();
        let lane = Lane::rest(&mesh);
        for number in 0..20 {
            comment(&lane, &number.to_string()).await;
        }
        let texts = watch.into_inner().take(20).map(|item| item.unwrap().comment.unwrap().comment);
        let texts: Vec<String> = tokio::time::timeout(Duration::from_secs(10), texts.collect()).await.unwrap();
        assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

/// As a browser's EventSource does: it names the last id it has seen and gets what it missed, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_goes_on_where_it_broke() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        let lane = Lane::rest(&mesh);
        let url = format!("{}/v1/contents/news/comments:watch?after_id=0", mesh.edge());
        comment(&lane, "text 0").await;
        let (mut got, mut last): (Vec<String>, Option<String>) = (Vec::new(), None);
        for round in 0..4 {
            let mut request = reqwest::Client::new().get(&url).header("accept", "text/event-stream");
            if let Some(id) = &last {
                request = request.header("last-event-id", id);
            }
            let (mut response, mut seen) = (request.send().await.unwrap(), String::new());
            comment(&lane, &format!("text {}", round * 3 + 1)).await;
            // The round ends in the middle: what comes after this is missed, and so is what was sent and not read.
            read_until(&mut response, &mut seen, &format!("text {}\"", round * 3)).await;
            for event in seen.rsplit_once("\n\n").map_or("", |(whole, _)| whole).split("\n\n") {
                let Some((id, data)) = event.strip_prefix("id: ").and_then(|event| event.split_once("\ndata: ")) else {
                    continue;
                };
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(data["id"], json!(id));
                got.push(data["comment"].as_str().unwrap().to_owned());
                last = Some(id.to_owned());
            }
            drop(response);
            for number in [round * 3 + 2, round * 3 + 3] {
                comment(&lane, &format!("text {number}")).await;
            }
        }
        let whole: Vec<String> = (0..got.len()).map(|number| format!("text {number}")).collect();
        assert!(got.len() >= 9, "{got:?}");
        assert_eq!(got, whole);
    }
}
