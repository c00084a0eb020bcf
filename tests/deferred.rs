//! Deferred calls: accepted while their service is away or because the client asked, carried out once, seen by their
//! owner alone.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use malla_contracts::google::longrunning::Operation;
use malla_contracts::malla::comments::v1 as comments;
use malla_servers::soak::{is_soak, report, rounds};
use malla_servers::{Kind, Server};
use prost::Message as _;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tonic::{Code, Request, Status};

use crate::support::{Lane, Mesh, Topology, between};

const SOON: Duration = Duration::from_secs(120);

/// One broker for all tests of this binary, which use it one after the other.
async fn broker() -> Option<tokio::sync::MutexGuard<'static, Server>> {
    static BROKER: OnceLock<Option<tokio::sync::Mutex<Server>>> = OnceLock::new();
    let start = || BROKER.get_or_init(|| Server::start(Kind::RabbitMq, &[]).map(tokio::sync::Mutex::new)).as_ref();
    Some(tokio::task::spawn_blocking(start).await.unwrap()?.lock().await)
}

fn comment(mesh: &Mesh, content: &str, text: &str) -> RequestBuilder {
    let url = format!("{}/v1/contents/{content}/comments", mesh.edge());
    Client::new().post(url).json(&json!({"email": "a@example.com", "comment": text}))
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name}: {response:?}")).to_str().unwrap()
}

/// What an accepted call's answer says: where to look, the key, and the operation.
async fn accepted(response: Response) -> (String, String, Value) {
    assert_eq!(response.status(), 202, "{:?}", response.text().await);
    assert_eq!((header(&response, "retry-after"), header(&response, "content-type")), ("2", "application/json"));
    let location = header(&response, "location").to_owned();
    let key = header(&response, "idempotency-key").to_owned();
    let operation: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/v1/{}", operation["name"].as_str().unwrap()));
    assert_eq!(operation["done"], json!(false));
    (location, key, operation)
}

/// Sends a call until it is accepted: a busy machine may not manage that within the second there is for it. With a key, so
/// that it is one call however often it is sent.
async fn accepted_at_last(call: RequestBuilder, key: &str) -> String {
    let (began, call) = (Instant::now(), call.header("idempotency-key", key));
    loop {
        let response = call.try_clone().unwrap().send().await.unwrap();
        if response.status() != 503 || began.elapsed() > SOON {
            return accepted(response).await.0;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn get(mesh: &Mesh, path: &str, token: Option<&str>) -> (u16, Value) {
    let request = Client::new().get(format!("{}{path}", mesh.edge()));
    let response = token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token)).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Polls until the operation is done.
async fn done(mesh: &Mesh, location: &str, token: Option<&str>) -> Value {
    let began = Instant::now();
    loop {
        let (status, operation) = get(mesh, location, token).await;
        assert_eq!(status, 200, "{operation}");
        if operation["done"] == json!(true) {
            return operation;
        }
        assert!(began.elapsed() < SOON, "never done: {operation}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The texts of a content's comments.
async fn texts(mesh: &Mesh, content: &str) -> Vec<String> {
    let (status, list) = get(mesh, &format!("/v1/contents/{content}/comments"), None).await;
    assert_eq!(status, 200, "{list}");
    let texts = list["comments"].as_array().unwrap().iter();
    texts.map(|comment| comment["comment"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_waits_for_its_service_and_is_made_once() {
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let lane = Lane::rest(&mesh);
    let (ana, bob) = (lane.user("ana").await, lane.user("bob").await);
    mesh.kill("comments").await;

    let post = || comment(&mesh, "c", "later").bearer_auth(ana.token()).header("idempotency-key", "\"k-1\"");
    let (location, key, _) = accepted(post().send().await.unwrap()).await;
    assert_eq!(key, "k-1");
    assert_eq!(accepted(post().send().await.unwrap()).await.0, location, "the same key is the same call");
    let other = comment(&mesh, "c", "other").bearer_auth(ana.token()).header("idempotency-key", "k-1");
    assert_eq!(other.send().await.unwrap().status(), 422);

    assert_eq!(get(&mesh, &location, Some(bob.token())).await.0, 404);
    assert_eq!(get(&mesh, &location, None).await.0, 404);
    assert_eq!(get(&mesh, &location, Some("nonsense")).await.0, 401);
    let (_, list) = get(&mesh, "/v1/operations", Some(ana.token())).await;
    assert_eq!(list["operations"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(get(&mesh, "/v1/operations", Some(bob.token())).await.1["operations"], json!([]));

    // Nobody's call is theirs who were told of it, and can be cancelled.
    let (nobodys, ..) = accepted(comment(&mesh, "c", "nobody's").send().await.unwrap()).await;
    let (cancelled, ..) = accepted(comment(&mesh, "c", "never").send().await.unwrap()).await;
    let began = Instant::now();
    loop {
        let cancel = Client::new().post(format!("{}{cancelled}:cancel", mesh.edge())).json(&json!({}));
        assert_eq!(cancel.send().await.unwrap().status(), 200);
        // One that is being tried is left alone.
        let (_, operation) = get(&mesh, &cancelled, None).await;
        if operation["done"] == json!(true) {
            assert_eq!(operation["error"]["code"], json!(1), "{operation}");
            break;
        }
        assert!(began.elapsed() < SOON, "{operation}");
    }

    mesh.restart("comments").await;
    let back = Instant::now();
    let operation = done(&mesh, &location, Some(ana.token())).await;
    assert!(back.elapsed() < Duration::from_secs(6), "{:?}", back.elapsed());
    let made = &operation["response"];
    assert_eq!(made["@type"], json!("type.googleapis.com/malla.comments.v1.CreateCommentResponse"));
    assert_eq!(made["comment"]["comment"], json!("later"), "{operation}");
    assert_eq!(operation["metadata"]["state"], json!("STATE_DONE"), "{operation}");
    done(&mesh, &nobodys, None).await;
    let mut texts = texts(&mesh, "c").await;
    texts.sort();
    assert_eq!(texts, ["later", "nobody's"]);
    let delete = Client::new().delete(format!("{}{location}", mesh.edge())).bearer_auth(ana.token());
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert_eq!(get(&mesh, &location, Some(ana.token())).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_paths_are_deferred_too() {
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    for target in ["comments", "files", "search"] {
        mesh.kill(target).await;
    }
    let old = Client::new().post(format!("{}/api/comment/new", mesh.edge()));
    let old = old.json(&json!({"email": "a@example.com", "comment": "old", "content_id": 7}));
    let (made, ..) = accepted(old.send().await.unwrap()).await;
    let mut lists = Vec::new();
    for path in ["/listar_archivos", "/buscar_archivos?nombre_archivo=x", "/v1/file-names"] {
        let response = reqwest::get(format!("{}{path}", mesh.edge())).await.unwrap();
        lists.push(accepted(response).await.0);
    }
    // Not deferrable: the client has to come again.
    assert_eq!(get(&mesh, "/v1/contents/7/comments", None).await.0, 503);
    for target in ["comments", "files", "search"] {
        mesh.restart(target).await;
    }
    let operation = done(&mesh, &made, None).await;
    assert_eq!(operation["response"]["comment"]["content_id"], json!("7"), "{operation}");
    for list in lists {
        let operation = done(&mesh, &list, None).await;
        assert!(operation["response"]["names"].is_array(), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_prefer_not_to_wait() {
    for topology in [Topology::OneProcess, Topology::ProcessPerService] {
        let mesh = Mesh::start(topology).await;
        let response = comment(&mesh, "c", "async").header("prefer", "respond-async").send().await.unwrap();
        assert_eq!(header(&response, "preference-applied"), "respond-async");
        let (location, ..) = accepted(response).await;
        let operation = done(&mesh, &location, None).await;
        assert_eq!(operation["response"]["comment"]["comment"], json!("async"), "{operation}");

        // What it ends with is the call's own error.
        let bad = comment(&mesh, "c", " ").header("prefer", "wait=1, respond-async").send().await.unwrap();
        let operation = done(&mesh, &accepted(bad).await.0, None).await;
        assert_eq!(operation["error"]["code"], json!(3), "{operation}");
        assert_eq!(operation["error"]["details"][0]["@type"], json!("type.googleapis.com/google.rpc.BadRequest"));
        // What is not deferrable is simply called.
        let list = Client::new().get(format!("{}/v1/contents/c/comments", mesh.edge()));
        assert_eq!(list.header("prefer", "respond-async").send().await.unwrap().status(), 200);
        assert_eq!(texts(&mesh, "c").await, ["async"]);
    }
}

async fn create<M: prost::Message + Default + 'static>(mesh: &Mesh, text: &str, asks: bool) -> Result<M, Status> {
    let channel = tonic::transport::Channel::from_shared(mesh.edge().to_owned()).unwrap().connect().await.unwrap();
    let (email, content_id) = ("a@example.com".to_owned(), "g".to_owned());
    let mut request = Request::new(comments::CreateCommentRequest { email, comment: text.to_owned(), content_id });
    if asks {
        request.metadata_mut().insert("prefer", "respond-async".parse().unwrap());
    }
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = "/malla.comments.v1.CommentsService/CreateComment".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<comments::CreateCommentRequest, M>::default();
    client.unary(request, path, codec).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_clients_get_the_operation_where_they_can_read_it() {
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    create::<comments::CreateCommentResponse>(&mesh, "now", false).await.unwrap();
    let asked: Operation = create(&mesh, "asked", true).await.unwrap();
    done(&mesh, &format!("/v1/{}", asked.name), None).await;

    mesh.kill("comments").await;
    let status = create::<comments::CreateCommentResponse>(&mesh, "unasked", false).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("do not send it again"), "{status:?}");
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
    let details = malla_contracts::google::rpc::Status::decode(status.details()).unwrap().details;
    assert_eq!(details[0].type_url, "type.googleapis.com/google.longrunning.Operation");
    let operation = Operation::decode(details[0].value.as_slice()).unwrap();
    mesh.restart("comments").await;
    done(&mesh, &format!("/v1/{}", operation.name), None).await;
    assert_eq!(texts(&mesh, "g").await, ["now", "asked", "unasked"]);
}

/// While services are away, what can be done later is accepted and done once; what cannot is refused.
#[tokio::test(flavor = "multi_thread")]
async fn row_07_services_are_away_for_a_while() {
    const CALLS: usize = 20;
    let away = Duration::from_secs(if is_soak() { 60 } else { 3 });
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    let user = Lane::rest(&mesh).user("ana").await;
    for target in ["comments", "files"] {
        mesh.kill(target).await;
    }
    let gone = Instant::now();
    let (mut made, mut lists) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for number in 0..CALLS {
        let name = number.to_string();
        made.push(accepted_at_last(comment(&mesh, "c", &name), &name).await);
        let list = Client::new().get(format!("{}/v1/file-names", mesh.edge()));
        lists.push(accepted_at_last(list, &format!("list-{name}")).await);
        let upload = Client::new().put(format!("{}/v1/files/a.txt", mesh.edge())).bearer_auth(user.token()).body("a");
        assert_eq!(upload.send().await.unwrap().status(), 503, "an upload is not deferred");
        assert_eq!(get(&mesh, "/v1/contents/c/comments", None).await.0, 503, "a list of comments is not deferred");
        refused += 2;
        tokio::time::sleep(away / u32::try_from(CALLS).unwrap()).await;
    }
    let gone = gone.elapsed();
    for target in ["comments", "files"] {
        mesh.restart(target).await;
    }
    let back = Instant::now();
    for location in made.iter().chain(&lists) {
        let operation = done(&mesh, location, None).await;
        assert!(operation["response"].is_object(), "{operation}");
    }
    let mut texts = texts(&mesh, "c").await;
    texts.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(texts, (0..CALLS).map(|number| number.to_string()).collect::<Vec<_>>());
    let measured = format_args!(
        "{} deferred, all done once, {:.1?} after they were back; {refused} others refused",
        2 * CALLS,
        back.elapsed()
    );
    report(7, &format!("comments and files away for {:.0?}", gone), measured);
}

/// The process that carries calls out dies at any time, between an effect and its answer too: each has one effect.
#[tokio::test(flavor = "multi_thread")]
async fn row_08_those_who_carry_calls_out_die() {
    const CALLS: usize = 5;
    let mut rounds = rounds(4);
    let mut mesh = Mesh::start_with(Topology::ProcessPerService, &[("OPERATIONS__ATTEMPT_MS", "500")]).await;
    let mut locations = Vec::new();
    for round in rounds.by_ref() {
        mesh.kill("comments").await;
        for number in 0..CALLS {
            let post = comment(&mesh, &round.to_string(), &number.to_string());
            locations.push(accepted_at_last(post, &format!("{round}-{number}")).await);
        }
        mesh.restart("comments").await;
        tokio::time::sleep(between(1, 200)).await;
        mesh.kill("operations").await;
        mesh.restart("operations").await;
    }
    for location in &locations {
        let operation = done(&mesh, location, None).await;
        assert!(operation["response"].is_object(), "{operation}");
    }
    for round in 0..rounds.made() {
        let mut texts = texts(&mesh, &round.to_string()).await;
        texts.sort();
        assert_eq!(texts, ["0", "1", "2", "3", "4"], "each once");
    }
    let measured = format_args!("{} calls, one effect each; {}", locations.len(), rounds.bound());
    report(8, "worker killed between effect and answer", measured);
}

/// With a broker that dies, hangs, is blocked and comes back: what was answered with 202 is done, all else with 503 within a second.
#[tokio::test(flavor = "multi_thread")]
async fn row_06_no_accepted_call_is_lost_with_the_broker() {
    let Some(mut broker) = broker().await else { return };
    let url = broker.url().to_owned();
    let mut mesh = Mesh::start_with(Topology::ProcessPerService, &[("OPERATIONS__BROKER__URL", &url)]).await;
    mesh.kill("comments").await;
    // RabbitMQ 3.10 writes down what its quorum queues are called 3 s after they were declared; killed before, it cannot
    // find what they hold. Nothing tells when that was done.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (mut promised, mut refused) = (Vec::new(), Vec::new());
    let mut slowest = Duration::ZERO;
    let mut rounds = rounds(3);
    for round in rounds.by_ref() {
        let mut posts = Vec::new();
        for number in 0..24 {
            if number == 8 {
                tokio::task::block_in_place(|| match round % 3 {
                    0 => broker.kill(),
                    1 => broker.signal("STOP"),
                    _ => broker.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]),
                });
            }
            let text = format!("{round}-{number}");
            let post = comment(&mesh, "c", &text);
            posts.push(tokio::spawn(async move {
                let began = Instant::now();
                (text, post.send().await.unwrap(), began.elapsed())
            }));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for (text, response, took) in futures_util::future::join_all(posts).await.into_iter().map(Result::unwrap) {
            slowest = slowest.max(took);
            match response.status().as_u16() {
                202 => promised.push((text, accepted(response).await.0)),
                503 => refused.push(text),
                other => panic!("{text}: {other}: {:?}", response.text().await),
            }
        }
        tokio::task::block_in_place(|| match round % 3 {
            0 => broker.restart(),
            1 => broker.signal("CONT"),
            _ => broker.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]),
        });
        mesh.healthy_but("comments").await;
    }
    assert!(!promised.is_empty() && !refused.is_empty(), "{} and {}", promised.len(), refused.len());
    mesh.restart("comments").await;
    for (text, location) in &promised {
        let operation = done(&mesh, location, None).await;
        assert_eq!(operation["response"]["comment"]["comment"], json!(text), "{operation}");
    }
    let texts = texts(&mesh, "c").await;
    let broken: Vec<_> = refused.iter().filter(|text| texts.contains(text)).collect();
    report(
        6,
        "RabbitMQ killed, stopped, blocked",
        format_args!(
            "{} promised, 0 lost; {} refused with 503, {} of them done, the slowest after {slowest:.1?}; {}",
            promised.len(),
            refused.len(),
            broken.len(),
            rounds.bound()
        ),
    );
    assert!(broken.is_empty(), "refused, and carried out: {broken:?}");
    assert!(slowest < Duration::from_millis(1_300), "{slowest:?}");
}
