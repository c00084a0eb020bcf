use bytes::Bytes;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

fn written(status: &Status) -> Value {
    serde_json::to_value(Details::new(&Types::new([]), &Json::default()).list(status)).unwrap()
}

#[test]
fn known_details_are_written_out() {
    let details = ErrorDetails::with_bad_request_violation("sku", "must be given");
    let status = Status::with_error_details(Code::InvalidArgument, "bad", details);
    assert_eq!(
        written(&status),
        json!([{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": "sku", "description": "must be given" }],
        }])
    );
}

#[test]
fn stack_traces_stay_inside() {
    let details = ErrorDetails::with_debug_info(vec!["at f".to_owned()], "secret");
    let status = Status::with_error_details(Code::Internal, "bad", details);
    assert_eq!(written(&status), json!([]));
}

#[test]
fn unknown_details_stay_opaque_and_cost_nothing_else() {
    let any = prost_types::Any { type_url: "type.googleapis.com/a.B".into(), value: vec![1, 2] };
    let details = pb::Status { code: 5, message: "gone".into(), details: vec![any] }.encode_to_vec();
    let status = Status::with_details(Code::NotFound, "gone", details.into());
    assert_eq!(written(&status), json!([{ "@type": "type.googleapis.com/a.B", "value": "AQI=" }]));
}

#[test]
fn broken_details_are_none() {
    let status = Status::with_details(Code::NotFound, "gone", Bytes::from_static(b"\xff"));
    assert_eq!(written(&status), json!([]));
}
