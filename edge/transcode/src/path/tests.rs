use super::*;

#[test]
fn slashes_count_unless_told() {
    let all = Slashes { ignore_trailing: true, merge: true };
    let trailing = Slashes { ignore_trailing: true, merge: false };
    for (path, strict, without_trailing, merged) in [
        ("/", "/", "/", "/"),
        ("//", "//", "/", "/"),
        ("/a/", "/a/", "/a", "/a"),
        ("/a//b//", "/a//b//", "/a//b", "/a/b"),
        ("/a", "/a", "/a", "/a"),
        ("", "", "", ""),
        ("*", "*", "*", "*"),
    ] {
        assert_eq!(Slashes::default().apply(path), strict);
        assert_eq!(trailing.apply(path), without_trailing);
        assert_eq!(all.apply(path), merged);
    }
}
