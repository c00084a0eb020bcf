use tonic::Code;

use super::*;
use crate::store::tests::folder;

fn request(pattern: &str, page_size: i32, page_token: &str) -> Request<proto::SearchFilesRequest> {
    let (pattern, page_token) = (pattern.to_owned(), page_token.to_owned());
    Request::new(proto::SearchFilesRequest { pattern, page_size, page_token, ..Default::default() })
}

#[tokio::test]
async fn pages_together_are_what_was_found_and_names_go_with_files() {
    let dir = folder(&[("a.txt", "1"), ("b/a.txt", "22"), ("c.txt", ""), ("d.csv", "")]);
    let service = Service::new(dir.path().to_owned(), Config::default());
    let first = service.search_files(request("*.txt", 2, "")).await.expect("a page").into_inner();
    assert_eq!(first.names, ["a.txt", "a.txt"]);
    let files: Vec<_> = first.files.iter().map(|file| (file.path.as_str(), file.size_bytes, file.line)).collect();
    assert_eq!(files, [("a.txt", 1, 0), ("b/a.txt", 2, 0)]);
    let second = service.search_files(request("*.txt", 2, &first.next_page_token)).await.expect("a page").into_inner();
    assert_eq!((second.names, second.next_page_token.as_str()), (vec!["c.txt".to_owned()], ""));
    let none = service.search_files(request("nothing", 0, "")).await.expect("a page").into_inner();
    assert_eq!(none, proto::SearchFilesResponse::default());
}

#[tokio::test]
async fn a_search_cut_short_can_be_continued_to_the_end() {
    let dir = folder(&[("a", "x"), ("b", "x"), ("c", "x")]);
    let config = Config { content_bytes_max: 1, file_bytes_max: 1, ..Config::default() };
    let service = Service::new(dir.path().to_owned(), config);
    let (mut names, mut page_token, mut cut) = (Vec::new(), String::new(), 0);
    loop {
        let request = proto::SearchFilesRequest { content: "x".to_owned(), page_token, ..Default::default() };
        let page = service.search_files(Request::new(request)).await.expect("a page").into_inner();
        names.extend(page.names);
        cut += usize::from(page.incomplete);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((names.join(""), cut), ("abc".to_owned(), 2));
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let dir = folder(&[]);
    let service = Service::new(dir.path().to_owned(), Config::default());
    for bad in [request("", 0, ""), request("[", 0, ""), request("x", -1, ""), request("x", 0, "zz")] {
        assert_eq!(service.search_files(bad).await.expect_err("refused").code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn searches_wait_for_a_place_and_give_it_back() {
    let dir = folder(&[("a", "")]);
    let service = Service::new(dir.path().to_owned(), Config { searches_max: 1, ..Config::default() });
    let place = service.places.clone().acquire_owned().await.expect("open");
    let mut waiting = Box::pin(service.search_files(request("a", 0, "")));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), &mut waiting).await.is_err());
    drop(place);
    assert_eq!(waiting.await.expect("found").into_inner().names, ["a"]);
    assert_eq!(service.places.available_permits(), 1);
}
