use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;

/// A folder `files` with nothing in it, in a folder of its own.
pub(crate) fn empty(config: &Config) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("files")).expect("made");
    let folder = Folder::open(&dir.path().join("files"), config).expect("opened");
    (dir, folder)
}

pub(crate) fn path(text: &str) -> FilePath {
    FilePath::folder(text).expect("valid")
}

/// All entries on disk, hidden ones included.
pub(crate) fn on_disk(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path().join("files")).expect("read");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn the_sample_comes_with_a_new_folder_and_never_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("deeper/files");
    let open = || Folder::open(&root, &Config::default()).expect("opened");
    let sample = ["bienvenida.txt", "cities.csv", "notes", "welcome.txt"];
    assert_eq!(open().names(&path(""), None, 10).expect("names"), sample);
    for name in ["bienvenida.txt", "cities.csv", "notes/search.md", "notes", "welcome.txt"] {
        open().delete(&path(name)).expect("deleted");
    }
    assert_eq!(open().names(&path(""), None, 10).expect("names"), [""; 0]);
}

#[test]
fn entries_are_ordered_by_name_and_continue_after_one() {
    let (dir, folder) = empty(&Config::default());
    for name in ["b", "a", "é", "B", "c"] {
        fs::write(dir.path().join("files").join(name), name).expect("written");
    }
    fs::create_dir(dir.path().join("files/ab")).expect("made");
    let names = |after, limit| folder.names(&path(""), after, limit).expect("names");
    assert_eq!(names(None, 10), ["B", "a", "ab", "b", "c", "é"]);
    assert_eq!(names(Some("a"), 2), ["ab", "b"]);
    assert_eq!(names(Some("é"), 2), [""; 0]);
    let entries = folder.list(&path(""), Some("a"), 2).expect("entries");
    let facts: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), entry.folder, entry.size_bytes)).collect();
    assert_eq!(facts, [("ab", true, 0), ("b", false, 1)]);
    assert_eq!(folder.stat(&path("b")).expect("stat"), entries[1]);
    assert!(entries[1].modify_time.elapsed().expect("in the past").as_secs() < 60);
}

#[test]
fn what_cannot_be_named_is_not_listed() {
    let (dir, folder) = empty(&Config::default());
    let root = dir.path().join("files");
    for name in ["a\\b", "a\nb", ".malla-upload-x", "shown"] {
        fs::write(root.join(name), "x").expect("written");
    }
    symlink("shown", root.join("link")).expect("linked");
    let _socket = UnixListener::bind(root.join("socket")).expect("a socket");
    assert_eq!(folder.names(&path(""), None, 10).expect("names"), ["shown"]);
}

#[test]
fn links_and_special_files_are_refused_wherever_they_stand() {
    let (dir, folder) = empty(&Config::default());
    let root = dir.path().join("files");
    fs::write(dir.path().join("secret"), "secret").expect("written");
    fs::create_dir(root.join("real")).expect("made");
    fs::write(root.join("real/file"), "inside").expect("written");
    symlink("../secret", root.join("out")).expect("linked");
    symlink(dir.path(), root.join("up")).expect("linked");
    symlink("real/file", root.join("in")).expect("linked");
    symlink("real", root.join("through")).expect("linked");
    let _socket = UnixListener::bind(root.join("socket")).expect("a socket");
    for bad in ["out", "in", "up", "up/secret", "through", "through/file", "socket"] {
        assert!(matches!(folder.stat(&path(bad)), Err(Error::Special(_))), "stat {bad}");
        assert!(matches!(folder.read(&path(bad)), Err(Error::Special(_))), "read {bad}");
        assert!(matches!(folder.delete(&path(bad)), Err(Error::Special(_))), "delete {bad}");
        assert!(matches!(folder.reveal("none", 0, &path(bad)), Err(Error::Special(_))), "upload {bad}");
    }
    for bad in ["up", "through"] {
        assert!(matches!(folder.names(&path(bad), None, 10), Err(Error::Special(_))), "list {bad}");
    }
    assert_eq!(fs::read(dir.path().join("secret")).expect("read"), b"secret");
}

#[test]
fn a_link_put_in_after_the_look_is_seen() {
    let (dir, folder) = empty(&Config::default());
    let root = dir.path().join("files");
    fs::create_dir(root.join("real")).expect("made");
    fs::create_dir(root.join("other")).expect("made");
    let found = look(&folder.top, "real", &path("real")).expect("looked").expect("there");
    fs::remove_dir(root.join("real")).expect("removed");
    symlink("other", root.join("real")).expect("linked");
    assert!(matches!(enter(&folder.top, "real", &found, &path("real")), Err(Error::Special(_))));
}

#[test]
fn only_files_and_empty_folders_are_deleted() {
    let (dir, folder) = empty(&Config::default());
    let root = dir.path().join("files");
    fs::create_dir(root.join("a")).expect("made");
    fs::write(root.join("a/b"), "x").expect("written");
    assert!(matches!(folder.delete(&path("a")), Err(Error::NotEmpty(_))));
    folder.delete(&path("a/b")).expect("deleted");
    folder.delete(&path("a")).expect("deleted");
    assert_eq!(on_disk(&dir), [""; 0]);
    assert!(matches!(folder.delete(&path("a")), Err(Error::NotFound(_))));
}

#[test]
fn what_is_not_there_is_not_found() {
    let (dir, folder) = empty(&Config::default());
    fs::write(dir.path().join("files/file"), "x").expect("written");
    for none in ["none", "none/x", "file/x"] {
        assert!(matches!(folder.stat(&path(none)), Err(Error::NotFound(text)) if text == none), "{none}");
        assert!(matches!(folder.read(&path(none)), Err(Error::NotFound(text)) if text == none), "{none}");
        assert!(matches!(folder.names(&path(none), None, 1), Err(Error::NotFound(text)) if text == none), "{none}");
    }
    assert!(matches!(folder.names(&path("file"), None, 1), Err(Error::NotFound(_))));
}

#[test]
fn a_start_removes_what_a_crash_left_and_no_upload_that_goes_on() {
    let (dir, folder) = empty(&Config::default());
    let held = folder.create_hidden(".malla-upload-held").expect("made");
    fs::write(dir.path().join("files/.malla-upload-left"), "x").expect("written");
    Folder::open(&dir.path().join("files"), &Config::default()).expect("a second process");
    assert_eq!(on_disk(&dir), [".malla-upload-held"]);
    drop(held);
    Folder::open(&dir.path().join("files"), &Config::default()).expect("a third process");
    assert_eq!(on_disk(&dir), [""; 0]);
}
