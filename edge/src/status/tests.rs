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
