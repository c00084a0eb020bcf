use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tonic::Code;

use super::proto::greeter_client::GreeterClient;
use super::*;

async fn start() -> String {
    let edge = edge().unwrap();
    tokio::spawn(edge.clone().follow_health(Shutdown::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app(edge)).await });
    address
}

async fn ask(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn rest_grpc_and_axum_share_a_port() {
    let address = start().await;
    let client = reqwest::Client::new();
    let (status, said) = ask(client.get(format!("{address}/v1/greetings/ana?times=2"))).await;
    assert_eq!((status, said), (200, json!({"lines": ["Hello, ana!", "Hello, ana!"]})));
    let (status, said) = ask(client.post(format!("{address}/v1/greetings")).json(&json!({"name": "eva"}))).await;
    assert_eq!((status, said), (200, json!({"lines": ["Hello, eva!"]})));

    let mut grpc = GreeterClient::connect(address.clone()).await.unwrap();
    let said = grpc.greet(GreetRequest { name: "ana".to_owned(), times: 0 }).await.unwrap().into_inner();
    assert_eq!(said.lines, ["Hello, ana!"]);
    let refused = grpc.greet(GreetRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "name is empty"));

    let own = client.get(format!("{address}/hello")).send().await.unwrap();
    assert_eq!(own.text().await.unwrap(), "This is axum's.\n");
}

#[tokio::test]
async fn what_is_wrong_is_said_by_field_and_code() {
    let address = start().await;
    let client = reqwest::Client::new();
    let (status, said) = ask(client.get(format!("{address}/v1/greetings/ana?tmes=2"))).await;
    assert_eq!((status, said["code"].as_i64()), (400, Some(3)));
    assert!(said.to_string().contains("times"), "{said}");
    let (status, said) = ask(client.get(format!("{address}/v1/greetings/ana?times=11"))).await;
    assert_eq!((status, said["message"].as_str()), (400, Some("ten times are enough")));
    let (status, _) = ask(client.get(format!("{address}/v1/nothing"))).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn pages_of_the_edge_are_there() {
    let address = start().await;
    let client = reqwest::Client::new();
    let (status, document) = ask(client.get(format!("{address}/openapi.json"))).await;
    assert_eq!(status, 200);
    assert!(document["paths"]["/v1/greetings/{name}"]["get"].is_object(), "{document}");
    let healthy = async {
        while ask(client.get(format!("{address}/health"))).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), healthy).await.expect("the service is found to be healthy");
}

#[tokio::test]
async fn streams_and_websockets_go_through_axum() {
    let address = start().await;
    let events = reqwest::Client::new().get(format!("{address}/v1/greetings/ana:all?times=2"));
    let said = events.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(said.headers()["content-type"], "text/event-stream");
    assert_eq!(said.text().await.unwrap(), ":\n\ndata: {\"lines\":[\"Hello, ana!\",\"Hello, ana!\"]}\n\n");

    let host = address.trim_start_matches("http://");
    let stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{host}/v1/greetings/ana:all"), stream).await.unwrap();
    let mut heard = Vec::new();
    for said in [r#"{"name":"ana","times":2}"#, ""] {
        heard.push(socket.next().await.unwrap().unwrap());
        socket.send(Message::text(said)).await.unwrap();
    }
    let once = r#"{"lines":["Hello, ana!"]}"#;
    assert_eq!(heard, [once, r#"{"lines":["Hello, ana!","Hello, ana!"]}"#].map(Message::text));
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1_000));
}
