use std::fs;

use tempfile::TempDir;
use tonic::Code;

use super::*;
use crate::store::tests::{empty, on_disk};

fn service(config: &Config) -> (TempDir, Service) {
    let (dir, folder) = empty(config);
    (dir, Service::new(Arc::new(folder), config))
}

fn piece(path: &str, data: &str) -> Result<proto::UploadFileRequest, Status> {
    let content = HttpBody { data: Bytes::from(data.to_owned()), ..HttpBody::default() };
    Ok(proto::UploadFileRequest { path: path.to_owned(), content: Some(content) })
}

async fn download(service: &Service, path: &str) -> Result<Vec<HttpBody>, Status> {
    let request = Request::new(proto::DownloadFileRequest { path: path.to_owned() });
    let pieces = service.download_file(request).await?.into_inner();
    pieces.collect::<Vec<_>>().await.into_iter().collect()
}

#[tokio::test]
async fn an_upload_takes_its_path_from_the_first_message() {
    let (_dir, service) = service(&Config::default());
    let pieces = [piece("a.csv", "one,"), piece("", "two"), piece("a.csv", "\n")];
    let stored = file(service.receive(None, stream::iter(pieces)).await.expect("stored"));
    let facts = (stored.path.as_str(), stored.name.as_str(), stored.size_bytes, stored.media_type.as_str());
    assert_eq!(facts, ("a.csv", "a.csv", 8, "text/csv; charset=utf-8"));
    let request = Request::new(proto::GetFileRequest { path: "a.csv".to_owned() });
    assert_eq!(service.get_file(request).await.expect("stat").into_inner().file, Some(stored));
}

#[tokio::test]
async fn a_bad_upload_is_refused_and_leaves_nothing() {
    let (dir, service) = service(&Config { file_bytes_max: 4, ..Config::default() });
    let cut = || Err(Status::cancelled("the client left"));
    let rows = [
        (vec![], Code::InvalidArgument),
        (vec![piece("", "x")], Code::InvalidArgument),
        (vec![piece("../x", "x")], Code::InvalidArgument),
        (vec![piece(".malla-upload-x", "x")], Code::InvalidArgument),
        (vec![piece("a", "x"), piece("b", "x")], Code::InvalidArgument),
        (vec![piece("a", "12345")], Code::ResourceExhausted),
        (vec![piece("a", "x"), cut()], Code::Cancelled),
    ];
    for (at, (pieces, code)) in rows.into_iter().enumerate() {
        assert_eq!(service.receive(None, stream::iter(pieces)).await.expect_err("refused").code(), code, "row {at}");
        assert_eq!(on_disk(&dir), [""; 0], "row {at}");
    }
}

#[tokio::test]
async fn uploads_at_once_are_limited() {
    let (_dir, service) = service(&Config { uploads_max: 1, ..Config::default() });
    let (mut sender, pieces) = tokio::io::duplex(1);
    let slow = stream::unfold(pieces, |mut pieces| async {
        let byte = pieces.read_u8().await.ok()?;
        Some((piece("slow", &char::from(byte).to_string()), pieces))
    });
    tokio::io::AsyncWriteExt::write_u8(&mut sender, b'x').await.expect("sent");
    let (slow, second) = tokio::join!(service.receive(None, Box::pin(slow)), async {
        while service.uploads.take(None).is_ok() {
            tokio::task::yield_now().await;
        }
        let refused = service.receive(None, stream::iter([piece("second", "x")])).await;
        drop(sender);
        refused
    });
    assert_eq!(slow.expect("stored").size_bytes, 1);
    assert_eq!(second.expect_err("refused").code(), Code::ResourceExhausted);
    service.receive(None, stream::iter([piece("third", "x")])).await.expect("a free place");
}

#[tokio::test]
async fn one_user_has_a_share_of_the_uploads() {
    let (_dir, service) = service(&Config { uploads_max: 2, uploads_per_user_max: 1, ..Config::default() });
    let (ana, eva) = (|| Some("ana".to_owned()), Some("eva".to_owned()));
    let stalled = stream::iter([piece("stalled", "x")]).chain(stream::pending());
    let others = async {
        let refused = loop {
            match service.receive(ana(), stream::iter([piece("second", "x")])).await {
                Err(refused) => break refused,
                Ok(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(refused.code(), Code::ResourceExhausted);
        service.receive(eva, stream::iter([piece("eva", "x")])).await
    };
    tokio::select! {
        ended = service.receive(ana(), stalled) => panic!("{ended:?}"),
        stored = others => drop(stored.expect("room for another user")),
    }
}

#[tokio::test]
async fn an_upload_that_trickles_is_ended_and_a_slow_one_is_not() {
    // Bytes in a piece, seconds to each: the first burst earns no rest.
    let rows = [(1, 1, false), (1, 4, false), (1_000, 1, false), (1_200, 1, true), (64 << 10, 9, true)];
    for (bytes, seconds, kept) in rows {
        let (dir, service) = service(&Config::default());
        tokio::time::pause();
        let mut data = "x".repeat(1 << 20);
        let pieces = stream::unfold(0, |sent| async move {
            tokio::time::sleep(Duration::from_secs(if sent == 0 { 0 } else { seconds })).await;
            (sent < 20).then_some(((), sent + 1))
        });
        let pieces = pieces.map(|()| {
            let next = piece("slow", &data);
            data.truncate(bytes);
            next
        });
        let received = service.receive(None, Box::pin(pieces)).await;
        tokio::time::resume();
        let code = received.err().map(|status| {
            assert_eq!(status.metadata().get("x-http-code").expect("a status of HTTP"), "408");
            status.code()
        });
        assert_eq!(code, (!kept).then_some(Code::Aborted), "{bytes} bytes in {seconds} s");
        assert_eq!(on_disk(&dir).len(), usize::from(kept));
    }
}

#[tokio::test]
async fn a_download_comes_in_bounded_pieces_with_its_media_type() {
    let (dir, service) = service(&Config::default());
    let content: Vec<u8> = (0..3 * CHUNK_BYTES + 7).map(|at| u8::try_from(at % 251).expect("small")).collect();
    fs::write(dir.path().join("files/a.html"), &content).expect("written");
    let pieces = download(&service, "a.html").await.expect("downloaded");
    assert!(pieces.iter().all(|piece| (1..=CHUNK_BYTES).contains(&piece.data.len())));
    assert!(pieces.iter().all(|piece| piece.content_type == "text/plain; charset=utf-8"));
    assert_eq!(pieces.iter().flat_map(|piece| piece.data.clone()).collect::<Vec<_>>(), content);

    fs::write(dir.path().join("files/empty.png"), "").expect("written");
    let pieces = download(&service, "empty.png").await.expect("downloaded");
    assert_eq!((pieces.len(), pieces[0].content_type.as_str()), (1, "image/png"));
}

#[tokio::test]
async fn a_folder_is_listed_page_by_page() {
    let (dir, service) = service(&Config::default());
    fs::create_dir(dir.path().join("files/f")).expect("made");
    for name in ["c", "a", "b"] {
        fs::write(dir.path().join("files/f").join(name), "x").expect("written");
    }
    let (mut paths, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListFilesRequest { folder: "f".to_owned(), page_size: 2, page_token };
        let page = service.list_files(Request::new(request)).await.expect("a page").into_inner();
        paths.extend(page.files.into_iter().map(|file| file.path));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paths, ["f/a", "f/b", "f/c"]);
    let names = service.list_file_names(Request::new(proto::ListFileNamesRequest {})).await.expect("names");
    assert_eq!(names.into_inner().names, ["f"]);
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let (dir, service) = service(&Config::default());
    fs::create_dir(dir.path().join("files/f")).expect("made");
    let rows = [("none", Code::NotFound), ("f", Code::FailedPrecondition), ("../x", Code::InvalidArgument)];
    for (path, code) in rows {
        assert_eq!(download(&service, path).await.expect_err("refused").code(), code, "{path}");
    }
    let request = Request::new(proto::DeleteFileRequest { path: "none".to_owned() });
    assert_eq!(service.delete_file(request).await.expect_err("refused").code(), Code::NotFound);
    let request = proto::ListFilesRequest { folder: "none".to_owned(), ..Default::default() };
    assert_eq!(service.list_files(Request::new(request)).await.expect_err("refused").code(), Code::NotFound);
}
