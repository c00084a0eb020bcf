use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::query::Conditions;

/// A folder with these files in it.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    dir
}

fn glob(glob: &str) -> Query {
    Query::new(Conditions { glob: glob.to_owned(), ..Conditions::default() }).expect("valid")
}

fn content(content: &str) -> Query {
    Query::new(Conditions { content: content.to_owned(), ..Conditions::default() }).expect("valid")
}

fn run(dir: &TempDir, config: &Config, query: &Query, after: &str, limit: usize) -> Outcome {
    search(dir.path(), config, query, after, limit, &CancellationToken::new()).expect("searched")
}

fn paths(outcome: &Outcome) -> Vec<&str> {
    outcome.found.iter().map(|found| found.path.as_str()).collect()
}

/// Names on both sides of '/' in the order of bytes.
const TRICKY: [&str; 8] = ["a!", "a-b/x", "a.txt", "a/b/c", "a/z", "a0", "b", "é/x"];

#[test]
fn files_come_in_the_order_of_their_paths_from_any_path_on() {
    let dir = folder(&TRICKY.map(|path| (path, "")));
    for start in 0..=TRICKY.len() {
        let after = if start == 0 { "" } else { TRICKY[start - 1] };
        for limit in 1..=TRICKY.len() {
            let expected: Vec<_> = TRICKY[start..].iter().copied().take(limit).collect();
            assert_eq!(paths(&run(&dir, &Config::default(), &glob("*"), after, limit)), expected, "{after:?} {limit}");
        }
    }
    assert_eq!(paths(&run(&dir, &Config::default(), &glob("*"), "a/a/gone", 2)), ["a/b/c", "a/z"]);
}

#[test]
fn links_and_hidden_names_are_passed_over() {
    let dir = folder(&[("f/x", "secret"), (".malla-upload-1", "secret"), (".shown", "secret")]);
    let outside = folder(&[("x", "secret")]);
    symlink(outside.path(), dir.path().join("out")).expect("linked");
    symlink(outside.path().join("x"), dir.path().join("x")).expect("linked");
    symlink("f", dir.path().join("inside")).expect("linked");
    symlink("..", dir.path().join("f/up")).expect("linked");
    for query in [glob("*"), content("secret")] {
        assert_eq!(paths(&run(&dir, &Config::default(), &query, "", 10)), [".shown", "f/x"]);
    }
}

#[test]
fn content_is_found_in_any_bytes_with_its_line() {
    let dir = folder(&[("a", "one\ntwo\ntwo"), ("b", "two"), ("c", "x")]);
    let mut big = vec![0xff; CHUNK_BYTES - 2];
    big.extend_from_slice(b"\n\ntwo");
    fs::write(dir.path().join("d"), big).expect("written");
    let outcome = run(&dir, &Config::default(), &content("two"), "", 10);
    let lines: Vec<_> = outcome.found.iter().map(|found| (found.path.as_str(), found.line)).collect();
    assert_eq!(lines, [("a", 2), ("b", 1), ("d", 3)]);
    assert!(!outcome.incomplete);
}

#[test]
fn a_search_ended_by_a_limit_says_so_and_can_go_on() {
    let dir = folder(&[("a", "12"), ("b", "123"), ("c", "1234567"), ("d", "12")]);
    let config = Config { content_bytes_max: 5, file_bytes_max: 5, ..Config::default() };
    let outcome = run(&dir, &config, &content("12"), "", 10);
    // c is too large for any call: passed over, and said so.
    assert_eq!((paths(&outcome), outcome.incomplete), (vec!["a", "b"], true));
    assert_eq!(outcome.resume.as_deref(), Some("c"));
    let outcome = run(&dir, &config, &content("12"), "c", 10);
    assert_eq!((paths(&outcome), outcome.incomplete, outcome.resume.clone()), (vec!["d"], false, None));
    let outcome = run(&dir, &config, &content("12"), "b", 10);
    assert_eq!((paths(&outcome), outcome.incomplete, outcome.resume.clone()), (vec!["d"], true, None));

    let dir = folder(&[("a", ""), ("b/c", ""), ("b/d", "")]);
    let outcome = run(&dir, &Config { entries_max: 3, ..Config::default() }, &glob("*"), "", 10);
    assert_eq!((paths(&outcome), outcome.incomplete, outcome.resume.as_deref()), (vec!["a"], true, Some("a")));
}

#[test]
fn depth_is_limited() {
    let (deepest, too_deep) = (["x"; 32].join("/"), ["y"; 33].join("/"));
    let dir = folder(&[(&deepest, ""), (&too_deep, "")]);
    assert_eq!(paths(&run(&dir, &Config::default(), &glob("*"), "", 10)), [deepest]);
}

#[test]
fn a_search_nobody_waits_for_stops() {
    let dir = folder(&[("a", "x")]);
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = search(dir.path(), &Config::default(), &glob("*"), "", 10, &stop).expect("searched");
    assert_eq!(paths(&outcome), [""; 0]);
}

#[test]
fn a_folder_that_does_not_exist_holds_nothing() {
    let dir = folder(&[]);
    let outcome = search(&dir.path().join("none"), &Config::default(), &glob("*"), "", 10, &CancellationToken::new());
    assert_eq!(paths(&outcome.expect("searched")), [""; 0]);
    assert!(!dir.path().join("none").exists());
}
