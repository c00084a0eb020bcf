use super::*;

/// `google/rpc/code.proto`: each code's "HTTP Mapping".
#[test]
fn table_is_that_of_code_proto() {
    let expected = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
    for (code, status) in expected.into_iter().enumerate() {
        let code = Code::from(i32::try_from(code).unwrap());
        assert_eq!(http_of(code).as_u16(), status, "{code:?}");
    }
}

#[test]
fn unknown_codes_are_500() {
    assert_eq!(http_of(Code::from(17)).as_u16(), 500);
    assert_eq!(http_of(Code::from(-1)).as_u16(), 500);
}

/// gRPC's `doc/http-grpc-status-mapping.md`.
#[test]
fn http_statuses_have_the_codes_of_grpcs_table() {
    for (status, code) in [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (429, Code::Unavailable),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
        (200, Code::Unknown),
        (302, Code::Unknown),
        (500, Code::Unknown),
    ] {
        assert_eq!(of_http(StatusCode::from_u16(status).unwrap()), code, "{status}");
    }
}
