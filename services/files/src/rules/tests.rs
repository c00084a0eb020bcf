use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;

#[test]
fn paths_below_the_folder_are_taken() {
    let (part, path) = ("ñ".repeat(127) + "x", ["x"; 32].join("/"));
    for good in ["a", "a/b.txt", ".hidden", "año nuevo/ß", "...", "a..b", "%2e%2e", part.as_str(), path.as_str()] {
        let taken = FilePath::entry(good).expect("valid");
        assert_eq!(taken.as_str(), good);
        let (folder, name) = taken.split();
        assert_eq!(folder.join(name), good);
    }
    assert_eq!(FilePath::folder("").expect("the top").parts().count(), 0);
}

#[test]
fn other_paths_are_refused() {
    let (part, long, deep) = ("x".repeat(256), vec!["x".repeat(200); 6].join("/"), ["x"; 33].join("/"));
    let rows = [
        "",
        "/",
        "/etc/passwd",
        "..",
        ".",
        "../x",
        "a/..",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        "a\nb",
        "a\\b",
        "..\\x",
        "\u{85}",
        ".malla-upload-1",
        "a/.malla-upload-1",
        &part,
        &long,
        &deep,
    ];
    for bad in rows {
        assert_eq!(FilePath::entry(bad).expect_err("refused").field, "path", "{bad:?}");
    }
    assert_eq!(FilePath::folder("..").expect_err("refused").field, "folder");
}

#[test]
fn nothing_a_browser_would_run_is_named_as_such() {
    for name in ["a.html", "a.HTM", "a.svg", "a.xhtml", "a.xml", "a.js", "a.b.SVG"] {
        assert_eq!(media_type(name), "text/plain; charset=utf-8", "{name}");
    }
    for (name, expected) in [
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.PNG", "image/png"),
        ("png", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ] {
        assert_eq!(media_type(name), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn a_path_taken_only_goes_down(text in "[a.\\\\/\\x00ñ-]{0,24}") {
        if let Ok(path) = FilePath::entry(&text) {
            prop_assert!(Path::new(path.as_str()).components().all(|part| matches!(part, Component::Normal(_))));
            prop_assert_eq!(path.parts().collect::<Vec<_>>().join("/"), text);
        }
    }
}
