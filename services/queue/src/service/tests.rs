use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt as _;
use malla_contracts::malla::queue::v1::queue_service_client::QueueServiceClient;
use malla_contracts::malla::queue::v1::queue_service_server::QueueServiceServer;
use malla_runtime::auth::{Caller, Claims};
use malla_runtime::module::Context;
use malla_storage::keyed::Answers;
use malla_storage::testing::Place;
use prost_types::{ListValue, Struct};
use tonic::Code;

use super::*;
use crate::Queue;
use crate::config::Config;
use crate::migrations::Migrator;
use crate::store::Sql;
use crate::store::tests::{Bench, bench, redis};

async fn service(config: Config) -> (Service, Bench) {
    let bench = bench(config).await;
    (Service::new(bench.messages.clone(), Places::new(1, 1), Shutdown::default()), bench)
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

fn keyed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("idempotency-key", "k".parse().expect("a key"));
    request
}

#[tokio::test]
async fn in_redis_a_push_has_a_key_and_what_cannot_keep_its_answer_refuses_one() {
    let Some(bench) = redis(Config::default()).await else { return };
    let service = Service::new(bench.messages.clone(), Places::new(1, 1), Shutdown::default());
    let push = || proto::PushRequest { body: Some(string("x")), ..proto::PushRequest::default() };
    let first = service.push(keyed(push())).await.expect("room").into_inner();
    assert_eq!(service.push(keyed(push())).await.expect("the same").into_inner(), first);

    let refused = [
        service.pop(keyed(proto::PopRequest::default())).await.err(),
        service.receive(keyed(proto::ReceiveRequest::default())).await.err(),
        service.nack(keyed(proto::NackRequest::default())).await.err(),
        service.redrive(keyed(proto::RedriveRequest::default())).await.err(),
    ];
    for status in refused {
        let status = status.expect("refused");
        assert_eq!((status.code(), status.message().contains("in Redis")), (Code::InvalidArgument, true), "{status}");
    }
    let message = receive(&service, 0).await.pop().expect("still there");
    let ack = proto::AckRequest { queue: String::new(), id: message.id, receipt: message.receipt };
    service.ack(keyed(ack)).await.expect("acknowledged");
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

/// The receiver sees a message, and in its transaction does not: the clock is ahead for one look.
#[tokio::test]
async fn a_keyed_receiver_that_got_nothing_lets_others_push_while_it_waits() {
    let place = Place::sqlite();
    let (store, context) = (place.open::<Migrator>("queue").await, Context::alone(place.dir.path().to_owned()));
    let (ahead, looks) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let (by, counted) = (ahead.clone(), looks.clone());
    let clock = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        1_000_000_000 + by.swap(0, Ordering::SeqCst)
    };
    let messages = Arc::new(Sql::new(store.clone(), Config::default(), Arc::new(clock)));
    messages.push("default", Body::new(Some(&string("later"))).expect("a body"), None, 1_000).await.expect("room");
    let service = Service::new(messages.clone(), Places::new(1, 1), Shutdown::default());
    let answers = Answers::of::<Queue>(&store, &context).expect("descriptors");
    let client = QueueServiceClient::new(answers.around(QueueServiceServer::new(service)));

    ahead.store(1_000, Ordering::SeqCst);
    looks.store(0, Ordering::SeqCst);
    let request = || proto::ReceiveRequest { wait_ms: 20_000, ..proto::ReceiveRequest::default() };
    let mut receiver = client.clone();
    let received = tokio::spawn(async move { receiver.receive(keyed(request())).await });
    // The first look asks the clock twice.
    while looks.load(Ordering::SeqCst) < 3 {
        assert!(!received.is_finished(), "it does not wait");
        tokio::task::yield_now().await;
    }
    let push = proto::PushRequest { body: Some(string("now")), ..proto::PushRequest::default() };
    let mut pusher = client.clone();
    let pushed = tokio::time::timeout(Duration::from_secs(2), pusher.push(push)).await.expect("nobody in the way");
    pushed.expect("room");
    let received = received.await.expect("no panic").expect("leases").into_inner();
    assert_eq!(received.messages[0].body, Some(string("now")));
    let again = client.clone().receive(keyed(request())).await.expect("the same answer").into_inner();
    assert_eq!(again, received);
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
    bench.close().await;
    assert_eq!(check().await.expect_err("closed").code(), Code::Unavailable);
}

async fn subscribe(
    service: &Service,
    max_in_flight: i32,
) -> BoxStream<'static, Result<proto::SubscribeResponse, Status>> {
    let request = proto::SubscribeRequest { max_in_flight, ..proto::SubscribeRequest::default() };
    service.subscribe(Request::new(request)).await.expect("a stream").into_inner()
}

async fn next(
    stream: &mut BoxStream<'static, Result<proto::SubscribeResponse, Status>>,
) -> Option<Result<proto::Message, Code>> {
    let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("in time")?;
    Some(next.map(|response| response.message.expect("a message")).map_err(|status| status.code()))
}

#[tokio::test]
async fn a_stream_leases_as_many_as_it_may_have_and_goes_on_when_one_is_settled() {
    let (service, bench) = service(Config::default()).await;
    let mut stream = subscribe(&service, 1).await;
    let (first, _) = tokio::join!(next(&mut stream), push(&service, Some(string("x"))));
    let first = first.expect("a message").expect("no error");
    push(&service, Some(string("y"))).await.expect("room");
    assert!(stream.next().now_or_never().is_none());
    let refused = service.subscribe(Request::new(proto::SubscribeRequest::default())).await;
    assert_eq!(refused.err().map(|status| status.code()), Some(Code::ResourceExhausted));

    let ack = proto::AckRequest { queue: String::new(), id: first.id, receipt: first.receipt };
    let (second, acked) = tokio::join!(next(&mut stream), service.ack(Request::new(ack)));
    acked.expect("acknowledged");
    let second = second.expect("a message").expect("no error");
    assert_eq!(second.body, Some(string("y")));

    // The stream breaks: the message comes back when its lease ends.
    drop(stream);
    assert_eq!(receive(&service, 0).await, []);
    bench.now.fetch_add(30_000, Ordering::SeqCst);
    assert_eq!(next(&mut subscribe(&service, 1).await).await.expect("again").expect("no error").id, second.id);
}

#[tokio::test]
async fn one_user_has_a_share_of_the_streams() {
    let bench = bench(Config::default()).await;
    let service = Service::new(bench.messages.clone(), Places::new(3, 2), Shutdown::default());
    let subscribe = async |sub: &str| {
        let mut request = Request::new(proto::SubscribeRequest::default());
        request.extensions_mut().insert(Caller::User(Claims { sub: sub.into(), ..Claims::default() }));
        service.subscribe(request).await.map_err(|status| status.code())
    };
    let _streams = [subscribe("mallory").await.expect("a stream"), subscribe("mallory").await.expect("a stream")];
    assert_eq!(subscribe("mallory").await.err(), Some(Code::ResourceExhausted));
    let _other = subscribe("ana").await.expect("a stream");
}

#[tokio::test]
async fn a_stream_hands_out_no_message_whose_lease_has_ended() {
    let (service, bench) = service(Config::default()).await;
    for text in ["x", "y", "z"] {
        push(&service, Some(string(text))).await.expect("room");
    }
    let mut stream = subscribe(&service, 3).await;
    assert_eq!(next(&mut stream).await.expect("a message").expect("no error").attempts, 1);
    // Read late: the other two were leased with the first.
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(30_000)).await;
    tokio::time::resume();
    let now = bench.now.fetch_add(30_000, Ordering::SeqCst) + 30_000;
    let message = next(&mut stream).await.expect("a message").expect("no error");
    assert_eq!((message.attempts, message.lease_expire_time), (2, Some(timestamp(now + 30_000))));
    let unseen = next(&mut stream).await.expect("a message").expect("no error");
    assert_eq!((unseen.body, unseen.attempts), (Some(string("y")), 1), "what was not handed out was not received");
}

#[tokio::test]
async fn what_a_broken_stream_has_not_handed_out_is_there_at_once_as_if_never_received() {
    let benches = [Some(bench(Config::default()).await), redis(Config::default()).await];
    for bench in benches.into_iter().flatten() {
        let service = Service::new(bench.messages.clone(), Places::new(1, 1), Shutdown::default());
        for text in ["x", "y", "z"] {
            push(&service, Some(string(text))).await.expect("room");
        }
        let mut stream = subscribe(&service, 3).await;
        let seen = next(&mut stream).await.expect("a message").expect("no error");
        assert_eq!((seen.body, receive(&service, 0).await), (Some(string("x")), vec![]));
        drop(stream);
        for text in ["y", "z"] {
            let message = receive(&service, 20_000).await.pop().expect("in time");
            assert_eq!((message.body, message.attempts), (Some(string(text)), 1));
        }
        assert_eq!(receive(&service, 0).await, [], "what was handed out is its consumer's");
    }
}

#[tokio::test]
async fn draining_ends_a_stream() {
    let (service, _bench) = service(Config::default()).await;
    let mut stream = subscribe(&service, 1).await;
    let shutdown = service.shutdown.clone();
    let (ended, ()) = tokio::join!(next(&mut stream), shutdown.begin(Duration::ZERO));
    assert_eq!(ended, Some(Err(Code::Unavailable)));
    assert_eq!(next(&mut stream).await, None);
}
