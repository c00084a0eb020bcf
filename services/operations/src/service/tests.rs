use std::sync::atomic::Ordering;

use malla_runtime::auth::Claims;
use malla_runtime::module::Entry;
use malla_runtime::policy::Access;
use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::store::tests::{Bench, bench};

async fn service(place: Place) -> (Service, Bench) {
    let bench = bench(place).await;
    (Service::new(bench.calls.clone(), Arc::default(), Shutdown::default()), bench)
}

/// A request as the guard lets it through.
fn from<T>(user: &str, message: T) -> Request<T> {
    let claims = Claims { sub: user.into(), ..Claims::default() };
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller::User(claims));
    request
}

fn listing(page_size: i32, page_token: String) -> proto::ListOperationsRequest {
    proto::ListOperationsRequest { name: "operations".into(), page_size, page_token, ..Default::default() }
}

fn waiting(timeout: Option<prost_types::Duration>) -> Request<proto::WaitOperationRequest> {
    from("ana", proto::WaitOperationRequest { name: "operations/1".into(), timeout })
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn progress(operation: &proto::Operation) -> Progress {
    let metadata = operation.metadata.as_ref().expect("metadata");
    assert_eq!(metadata.type_url, METADATA_TYPE);
    OperationMetadata::decode(metadata.value.as_slice()).expect("metadata").state()
}

async fn an_operation_shows_its_method_progress_and_result(place: Place) {
    let (service, bench) = service(place).await;
    let response = Any { type_url: "type.googleapis.com/google.protobuf.Empty".into(), value: Vec::new() };
    let error = rpc::Status { code: Code::NotFound.into(), message: "gone".into(), details: Vec::new() };
    let rows = [
        ("1", State::Queued, Progress::Queued, None),
        ("2", State::Running, Progress::Running, None),
        ("3", State::Done, Progress::Done, Some(Outcome::Response(response))),
        ("4", State::Done, Progress::Done, Some(Outcome::Error(error))),
    ];
    for (id, state, expected, result) in rows {
        let stored = match &result {
            Some(Outcome::Error(error)) => Err(error.encode_to_vec()),
            Some(Outcome::Response(response)) => Ok(response.encode_to_vec()),
            None => Ok(Vec::new()),
        };
        bench.add(id, "ana", state, stored).await;
        let request = from("ana", proto::GetOperationRequest { name: format!("operations/{id}") });
        let operation = service.get_operation(request).await.expect("known").into_inner();
        assert_eq!((operation.name.as_str(), progress(&operation)), (format!("operations/{id}").as_str(), expected));
        assert_eq!((operation.done, operation.result), (result.is_some(), result));
        let metadata = OperationMetadata::decode(operation.metadata.expect("metadata").value.as_slice());
        let metadata = metadata.expect("metadata");
        assert_eq!(metadata.method, "malla.comments.v1.CommentsService/CreateComment");
        assert_eq!(metadata.create_time, Some(timestamp(bench.now.load(Ordering::SeqCst))));
    }
}

async fn a_list_comes_in_pages_newest_first_and_has_no_filters(place: Place) {
    let (service, bench) = service(place).await;
    for id in ["1", "2", "3"] {
        bench.add(id, "ana", State::Queued, Ok(Vec::new())).await;
    }
    bench.add("4", "bob", State::Queued, Ok(Vec::new())).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..2 {
        let page = service.list_operations(from("ana", listing(2, token))).await.expect("a page").into_inner();
        seen.extend(page.operations.into_iter().map(|operation| operation.name));
        token = page.next_page_token;
    }
    assert_eq!((seen, token), (["3", "2", "1"].map(|id| format!("operations/{id}")).to_vec(), String::new()));

    let filtered = proto::ListOperationsRequest { filter: "done".into(), ..listing(0, String::new()) };
    let elsewhere = proto::ListOperationsRequest { name: "jobs".into(), ..listing(0, String::new()) };
    let partial = proto::ListOperationsRequest { return_partial_success: true, ..listing(0, String::new()) };
    for (request, code) in
        [(filtered, Code::InvalidArgument), (elsewhere, Code::InvalidArgument), (partial, Code::Unimplemented)]
    {
        assert_eq!(service.list_operations(from("ana", request)).await.expect_err("refused").code(), code);
    }
}

async fn a_page_of_big_results_ends_before_it_is_too_big_to_be_sent(place: Place) {
    let (service, bench) = service(place).await;
    for id in ["1", "2", "3"] {
        let result = Any { type_url: String::new(), value: vec![0; page::BYTES_MAX / 2] }.encode_to_vec();
        bench.add(id, "ana", State::Done, Ok(result)).await;
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = service.list_operations(from("ana", listing(0, token))).await.expect("a page").into_inner();
        assert!(page.encoded_len() < 4 << 20);
        seen.extend(page.operations.into_iter().map(|operation| operation.name));
        token = page.next_page_token;
    }
    assert_eq!((seen, token), (["3", "2", "1"].map(|id| format!("operations/{id}")).to_vec(), String::new()));
}

async fn an_answer_repeats_no_more_of_a_request_than_a_header_can_carry(place: Place) {
    let (service, _bench) = service(place).await;
    let request = from("ana", proto::GetOperationRequest { name: format!("operations/{}", "x".repeat(100_000)) });
    assert!(service.get_operation(request).await.expect_err("unknown").message().len() < 300);
}

async fn names_are_operations_and_an_id(place: Place) {
    let (service, _bench) = service(place).await;
    let rows = [
        ("", Code::InvalidArgument),
        ("operations", Code::InvalidArgument),
        ("operations/", Code::InvalidArgument),
        ("jobs/1", Code::InvalidArgument),
        ("operations1", Code::InvalidArgument),
        ("operations/1", Code::NotFound),
        ("operations/a/b", Code::NotFound),
    ];
    for (name, code) in rows {
        let request = from("ana", proto::GetOperationRequest { name: name.into() });
        assert_eq!(service.get_operation(request).await.expect_err("refused").code(), code, "{name:?}");
    }
}

async fn without_a_user_nothing_is_shown(place: Place) {
    let (service, _bench) = service(place).await;
    let request = Request::new(listing(0, String::new()));
    assert_eq!(service.list_operations(request).await.expect_err("refused").code(), Code::Unauthenticated);
}

async fn a_wait_ends_when_the_operation_does(place: Place) {
    let (service, bench) = service(place).await;
    bench.add("1", "ana", State::Queued, Ok(Vec::new())).await;
    let cancel = from("ana", proto::CancelOperationRequest { name: "operations/1".into() });
    let (waited, cancelled) = tokio::join!(service.wait_operation(waiting(None)), service.cancel_operation(cancel));
    cancelled.expect("cancelled");
    let operation = waited.expect("known").into_inner();
    assert_eq!((operation.done, progress(&operation)), (true, Progress::Cancelled));
}

async fn a_wait_gives_the_operation_as_it_is_when_its_time_is_over(place: Place) {
    let (service, bench) = service(place).await;
    bench.add("1", "ana", State::Running, Ok(Vec::new())).await;
    let operation = service.wait_operation(waiting(seconds(0))).await.expect("known").into_inner();
    assert_eq!((operation.done, progress(&operation)), (false, Progress::Running));
    let status = service.wait_operation(waiting(seconds(-1))).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    let (waited, ()) = tokio::join!(service.wait_operation(waiting(None)), service.shutdown.begin(Duration::ZERO));
    assert!(!waited.expect("known").into_inner().done, "draining ends a wait");
}

/// Without its policy a method of a foreign proto would be open to anyone.
#[test]
fn every_method_is_for_owners() {
    let policies = Entry::of::<crate::Operations>().policies().expect("readable descriptors");
    for method in ["ListOperations", "GetOperation", "DeleteOperation", "CancelOperation", "WaitOperation"] {
        let path = format!("/google.longrunning.Operations/{method}");
        let expected = if method == "ListOperations" { Access::User } else { Access::OptionalUser };
        assert_eq!(policies.get(&path).map(|policy| policy.access), Some(expected), "{method}");
    }
    let accept = policies.get("/malla.operations.v1.OperationsService/AcceptCall");
    assert_eq!(accept.map(|policy| policy.access), Some(Access::Service));
}

#[test]
fn a_wait_is_bounded() {
    for (asked, expected) in
        [(None, 30), (seconds(5), 5), (seconds(30), 30), (seconds(31), 30), (seconds(i64::MAX), 30)]
    {
        assert_eq!(limit(asked).expect("a limit").as_secs(), expected);
    }
}

malla_storage::on_every_database![
    an_operation_shows_its_method_progress_and_result,
    a_list_comes_in_pages_newest_first_and_has_no_filters,
    a_page_of_big_results_ends_before_it_is_too_big_to_be_sent,
    an_answer_repeats_no_more_of_a_request_than_a_header_can_carry,
    names_are_operations_and_an_id,
    without_a_user_nothing_is_shown,
    a_wait_ends_when_the_operation_does,
    a_wait_gives_the_operation_as_it_is_when_its_time_is_over,
];
