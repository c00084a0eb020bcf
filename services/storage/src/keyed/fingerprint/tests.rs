use super::*;

#[test]
fn a_fingerprint_is_of_its_request_alone_and_tells_nothing_of_two() {
    let request = b"a password";
    let [first, second] = [(); 2].map(|()| new(request).expect("random numbers"));
    assert_ne!(first, second, "who compares rows learns nothing");
    for fingerprint in [first, second] {
        assert!(is_of(&fingerprint, request));
        assert!(!is_of(&fingerprint, b"another"));
        assert!(!is_of(&fingerprint[..DIGEST_BYTES], request), "as another program would have made it");
    }
    assert!(!is_of(b"", request));
}
