use super::*;

#[test]
fn slashes_at_the_end_go_and_others_stay() {
    for (path, without) in
        [("/", "/"), ("//", "/"), ("/a/", "/a"), ("/a//b//", "/a//b"), ("/a", "/a"), ("", ""), ("*", "*")]
    {
        assert_eq!(without_trailing_slashes(path), without);
    }
}
