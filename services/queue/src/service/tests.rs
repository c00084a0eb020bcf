use std::sync::atomic::Ordering;

use prost_types::{ListValue, Struct};
use tonic::Code;

use super::*;
use crate::config::Config;
use crate::store::tests::{Bench, bench};

async fn service(config: Config) -> (Service, Bench) {
    let bench = bench(config).await;
    (Service::new(bench.messages.clone(), Shutdown::default()), bench)
}

fn string(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.into())) }
}

async fn push(service: &Service, body: Option<Value>) -> Result<String, Code> {
    let request = Request::new(proto::PushRequest { body, ..proto::PushRequest::default() });
    let pushed = service.push(request).await.map_err(|status| status.code())?.into_inner();
    assert_eq!(pushed.status, "ok");
    Ok(pushed.id)
}

async fn pop(service: &Service) -> proto::PopResponse {
    service.pop(Request::new(proto::PopRequest::default())).await.expect("a pop").into_inner()
}

async fn receive(service: &Service, wait_ms: i32) -> Vec<proto::Message> {
    let request = Request::new(proto::ReceiveRequest { wait_ms, ..proto::ReceiveRequest::default() });
    service.receive(request).await.expect("leases").into_inner().messages
}

#[tokio::test]
async fn any_json_comes_back_as_it_was_pushed_oldest_first() {
    let (service, _bench) = service(Config::default()).await;
    let list =
        Kind::ListValue(ListValue { values: vec![string("é\n"), Value { kind: Some(Kind::BoolValue(false)) }] });
    let fields = [("b".to_owned(), Value { kind: Some(list) }), (String::new(), string(""))].into();
    let kinds = [Kind::StructValue(Struct { fields }), Kind::NumberValue(-0.5), Kind::NullValue(0)];
    let values: Vec<Value> = kinds.into_iter().map(|kind| Value { kind: Some(kind) }).collect();
    let mut ids = Vec::new();
    for value in &values {
        ids.push(push(&service, Some(value.clone())).await.expect("room"));
    }
    for (value, id) in values.into_iter().zip(ids) {
        assert_eq!(pop(&service).await, proto::PopResponse { status: "ok".into(), body: Some(value), id });
    }
    let null = Value { kind: Some(Kind::NullValue(0)) };
    assert_eq!(pop(&service).await, proto::PopResponse { status: "ok".into(), body: Some(null), id: String::new() });
}

#[tokio::test]
async fn a_message_above_its_limit_is_refused_and_not_stored() {
    let (service, bench) = service(Config { message_bytes_max: 10, ..Config::default() }).await;
    assert_eq!(push(&service, Some(string("123456789"))).await, Err(Code::ResourceExhausted));
    assert_eq!(push(&service, None).await, Err(Code::InvalidArgument));
    assert_eq!(bench.messages.count("default").await.expect("a count"), 0);
    push(&service, Some(string("12345678"))).await.expect("10 bytes with its quotes");
}

#[tokio::test]
async fn a_lease_says_when_it_ends_and_is_acknowledged_twice_without_harm() {
    let (service, bench) = service(Config::default()).await;
    let id = push(&service, Some(string("x"))).await.expect("room");
    let message = receive(&service, 0).await.pop().expect("the message");
    let now = bench.now.load(Ordering::SeqCst);
    let (enqueue_time, end) = (Some(timestamp(now)), Some(timestamp(now + 30_000)));
    assert_eq!((&message.id, &message.body, message.attempts), (&id, &Some(string("x")), 1));
    assert_eq!((message.enqueue_time, message.lease_expire_time), (enqueue_time, end));

    let ack = proto::AckRequest { queue: String::new(), id, receipt: message.receipt };
    for _ in 0..2 {
        service.ack(Request::new(ack.clone())).await.expect("acknowledged");
    }
    let status = service.ack(Request::new(proto::AckRequest { receipt: "old".into(), ..ack })).await;
    assert_eq!(status.expect_err("stale").code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn dead_letters_come_in_pages_and_all_are_redriven() {
    let (service, bench) = service(Config { receives_max: 1, ..Config::default() }).await;
    let mut pushed = Vec::new();
    for _ in 0..3 {
        pushed.push(push(&service, Some(string("x"))).await.expect("room"));
        receive(&service, 0).await;
    }
    bench.now.fetch_add(30_000, Ordering::SeqCst);
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    for size in [2, 1] {
        let request = proto::ListDeadLettersRequest { queue: String::new(), page_size: 2, page_token };
        let page = service.list_dead_letters(Request::new(request)).await.expect("a page").into_inner();
        assert_eq!(page.dead_letters.len(), size);
        seen.extend(page.dead_letters.into_iter().map(|letter| letter.id));
        page_token = page.next_page_token;
    }
    assert_eq!((seen, page_token), (pushed, String::new()));

    let redriven = service.redrive(Request::new(proto::RedriveRequest::default())).await.expect("a redrive");
    assert_eq!(redriven.into_inner().redriven, 3);
    let stats = service.get_stats(Request::new(proto::GetStatsRequest::default())).await.expect("stats").into_inner();
    assert_eq!((stats.ready, stats.dead, stats.oldest_ready_age_ms), (3, 0, 30_000));
    assert_eq!(receive(&service, 0).await[0].attempts, 1, "attempts count from 0 again");
}

#[tokio::test]
async fn a_waiting_receiver_gets_the_message_when_it_comes() {
    let (service, _bench) = service(Config::default()).await;
    let (received, pushed) = tokio::join!(receive(&service, 20_000), push(&service, Some(string("x"))));
    assert_eq!(received[0].id, pushed.expect("room"));
}

#[tokio::test]
async fn draining_ends_the_wait_with_nothing() {
    let (service, _bench) = service(Config::default()).await;
    let shutdown = service.shutdown.clone();
    let (received, ()) = tokio::join!(receive(&service, 20_000), shutdown.begin(Duration::ZERO));
    assert_eq!(received, []);
}

#[tokio::test]
async fn the_store_is_named_and_unavailable_when_it_does_not_answer() {
    let (service, bench) = service(Config::default()).await;
    let check = || service.check_store(Request::new(proto::CheckStoreRequest {}));
    assert_eq!(check().await.expect("a sign of life").into_inner().store, "sqlite");
    bench.messages.close().await;
    assert_eq!(check().await.expect_err("closed").code(), Code::Unavailable);
}
