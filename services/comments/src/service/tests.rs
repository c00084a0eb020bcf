use malla_storage::testing::Place;
use tonic::Code;

use super::*;
use crate::store::tests::open;

async fn service(place: &Place, shutdown: Shutdown) -> Service {
    Service::new(open(place).await, &Config::default(), shutdown)
}

fn new(comment: &str) -> Request<proto::CreateCommentRequest> {
    let (email, content_id) = ("ana@example.com".to_owned(), "1".to_owned());
    Request::new(proto::CreateCommentRequest { email, comment: comment.to_owned(), content_id })
}

fn page(content_id: &str, page_size: i32, page_token: &str) -> Request<proto::ListCommentsRequest> {
    let (content_id, page_token) = (content_id.to_owned(), page_token.to_owned());
    Request::new(proto::ListCommentsRequest { content_id, page_size, page_token })
}

async fn a_comment_is_answered_and_listed_page_by_page(place: Place) {
    let service = service(&place, Shutdown::default()).await;
    let mut stored = Vec::new();
    for text in ["one", "two", "three"] {
        let answer = service.create_comment(new(text)).await.expect("stored").into_inner();
        assert_eq!(answer.status, "SUCCESS");
        assert_eq!(answer.message, "comment created and associated with content_id 1");
        stored.extend(answer.comment);
    }
    let first = service.list_comments(page("1", 2, "")).await.expect("a page").into_inner();
    assert_eq!(first.comments, stored[..2]);
    let second = service.list_comments(page("1", 2, &first.next_page_token)).await.expect("a page").into_inner();
    assert_eq!((second.comments.as_slice(), second.next_page_token.as_str()), (&stored[2..], ""));
}

async fn a_page_of_long_comments_ends_before_it_is_too_big_to_be_sent(place: Place) {
    let service = service(&place, Shutdown::default()).await;
    let long = "\u{1F37A}".repeat(4_000);
    for _ in 0..200 {
        service.create_comment(new(&long)).await.expect("stored");
    }
    let (mut seen, mut token) = (0, String::new());
    for last in [false, true] {
        let page = service.list_comments(page("1", 0, &token)).await.expect("a page").into_inner();
        assert!(text_bytes(&page) < 4 << 20);
        seen += page.comments.len();
        token = page.next_page_token;
        assert_eq!(token.is_empty(), last);
    }
    assert_eq!(seen, 200);
}

fn text_bytes(page: &proto::ListCommentsResponse) -> usize {
    page.comments.iter().map(|comment| comment.comment.len() + comment.email.len()).sum()
}

async fn what_cannot_be_answered_says_why(place: Place) {
    let service = service(&place, Shutdown::default()).await;
    let none = service.list_comments(page("99", 0, "")).await.expect_err("none");
    assert_eq!((none.code(), none.message()), (Code::NotFound, "content_id 99 not found"));
    for bad in [page("", 0, ""), page("1", 1_001, ""), page("1", 0, "zz"), page("1", 0, &page::token("x"))] {
        assert_eq!(service.list_comments(bad).await.expect_err("refused").code(), Code::InvalidArgument);
    }
    assert_eq!(service.create_comment(new(" ")).await.expect_err("refused").code(), Code::InvalidArgument);
    let nothing = Request::new(proto::WatchCommentsRequest::default());
    let refused = service.watch_comments(nothing).await.err().expect("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

async fn a_watch_sends_comments_and_ends_with_one_status(place: Place) {
    let shutdown = Shutdown::default();
    let service = service(&place, shutdown.clone()).await;
    let request = Request::new(proto::WatchCommentsRequest { content_id: "1".to_owned(), after_id: String::new() });
    let mut responses = service.watch_comments(request).await.expect("a watch").into_inner();
    let stored = service.create_comment(new("one")).await.expect("stored").into_inner().comment;
    assert_eq!(responses.next().await.expect("open").expect("a comment").comment, stored);
    shutdown.begin(std::time::Duration::ZERO).await;
    let last = responses.next().await.expect("a status").expect_err("the end");
    assert_eq!((last.code(), last.message()), (Code::Unavailable, "shutting down"));
    assert!(responses.next().await.is_none());
}

malla_storage::on_every_database![
    a_comment_is_answered_and_listed_page_by_page,
    a_page_of_long_comments_ends_before_it_is_too_big_to_be_sent,
    what_cannot_be_answered_says_why,
    a_watch_sends_comments_and_ends_with_one_status,
];
