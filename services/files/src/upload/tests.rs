use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use malla_runtime::places::Places;

use super::*;
use crate::config::Config;
use crate::store::tests::{empty, on_disk, path};

async fn upload(folder: &Arc<Folder>, to: &str, pieces: &[&str]) -> Result<Entry, Error> {
    let place = Places::new(1, 1).take(None).expect("free");
    let mut upload = Upload::begin(folder.clone(), 10, place).await?;
    for piece in pieces {
        upload.write(piece.as_bytes()).await?;
    }
    upload.finish(path(to)).await
}

#[tokio::test]
async fn an_upload_makes_its_folders_and_is_whole() {
    let (dir, folder) = empty(&Config::default());
    let folder = Arc::new(folder);
    let entry = upload(&folder, "a/b/c.txt", &["one", "", "two"]).await.expect("stored");
    assert_eq!((entry.path.as_str(), entry.size_bytes, entry.folder), ("a/b/c.txt", 6, false));
    assert_eq!(fs::read(dir.path().join("files/a/b/c.txt")).expect("read"), b"onetwo");
    assert_eq!(on_disk(&dir), ["a"]);
    assert_eq!(upload(&folder, "empty", &[]).await.expect("stored").size_bytes, 0);
}

#[tokio::test]
async fn nothing_is_seen_before_the_end_and_a_reader_keeps_what_was_replaced() {
    let (dir, folder) = empty(&Config::default());
    let folder = Arc::new(folder);
    upload(&folder, "x", &["old"]).await.expect("stored");
    let mut reader = folder.read(&path("x")).expect("opened");
    let place = Places::new(1, 1).take(None).expect("free");
    let mut new = Upload::begin(folder.clone(), 10, place).await.expect("begun");
    new.write(b"newer").await.expect("written");
    assert_eq!(folder.names(&path(""), None, 10).expect("names"), ["x"]);
    assert_eq!(fs::read(dir.path().join("files/x")).expect("read"), b"old");
    new.finish(path("x")).await.expect("stored");
    assert_eq!(fs::read(dir.path().join("files/x")).expect("read"), b"newer");
    let mut kept = String::new();
    reader.read_to_string(&mut kept).expect("read");
    assert_eq!(kept, "old");
}

#[tokio::test]
async fn an_upload_that_fails_or_is_left_leaves_nothing() {
    let (dir, folder) = empty(&Config { folder_bytes_max: 12, files_max: 3, ..Config::default() });
    let folder = Arc::new(folder);
    upload(&folder, "a/b", &["12345"]).await.expect("stored");
    let failed = upload(&folder, "x", &["123456", "78901"]).await;
    assert!(matches!(failed, Err(Error::FileTooLarge(10))));
    assert!(matches!(upload(&folder, "x", &["12345678"]).await, Err(Error::FolderFull(12))));
    assert!(matches!(upload(&folder, "x/y", &["1"]).await, Err(Error::TooManyFiles(3))));
    assert!(matches!(upload(&folder, "a", &["1"]).await, Err(Error::IsFolder(_))));
    assert!(matches!(upload(&folder, "a/b/c", &["1"]).await, Err(Error::ThroughFile(_))));
    let place = Places::new(1, 1).take(None).expect("free");
    let mut left = Upload::begin(folder.clone(), 10, place).await.expect("begun");
    left.write(b"half").await.expect("written");
    drop(left);
    assert_eq!(on_disk(&dir), ["a"]);
    // What is replaced makes room.
    upload(&folder, "a/b", &["1234567890"]).await.expect("stored");
    upload(&folder, "x", &["12"]).await.expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_once_never_pass_the_limits() {
    let (dir, folder) = empty(&Config { files_max: 5, ..Config::default() });
    let folder = Arc::new(folder);
    let uploads: Vec<_> = (0..16)
        .map(|at| {
            let folder = folder.clone();
            tokio::spawn(async move { upload(&folder, &format!("{at}"), &["x"]).await.is_ok() })
        })
        .collect();
    let mut stored = 0;
    for upload in uploads {
        stored += usize::from(upload.await.expect("no panic"));
    }
    assert_eq!((stored, on_disk(&dir).len()), (5, 5));
}
