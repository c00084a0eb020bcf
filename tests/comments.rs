//! Comments: stored in order, listed in pages, refused by field.

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{assert_fails, everywhere};

const CREATE: &str = "malla.comments.v1.CommentsService/CreateComment";
const LIST: &str = "malla.comments.v1.CommentsService/ListComments";

#[tokio::test(flavor = "multi_thread")]
async fn comments_come_back_in_order_page_by_page() {
    everywhere(async |_, lane| {
        for number in 0..5 {
            let comment =
                json!({"content_id": "a/b c", "email": "a@example.com", "comment": format!("{number} ñ \u{1F37A}")});
            let answer = lane.call(CREATE, comment).await.unwrap();
            assert_eq!(answer["comment"]["content_id"], json!("a/b c"));
        }
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page =
                lane.call(LIST, json!({"content_id": "a/b c", "page_size": 2, "page_token": token})).await.unwrap();
            let texts = page["comments"].as_array().unwrap().iter().map(|comment| comment["comment"].clone());
            seen.extend(texts);
            token = page["next_page_token"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        let all: Vec<Value> = (0..5).map(|number| json!(format!("{number} ñ \u{1F37A}"))).collect();
        assert_eq!(seen, all);
        assert_fails(lane.call(LIST, json!({"content_id": "none"})).await, Code::NotFound, "content_id none not found");
        let bad = [
            (json!({"content_id": "x", "email": "nobody", "comment": "hi"}), "email"),
            (json!({"content_id": "x", "email": "a@example.com", "comment": "  "}), "comment"),
            (json!({"content_id": "x", "email": "a@example.com", "comment": "y".repeat(4_001)}), "comment"),
            (json!({"content_id": "x".repeat(129), "email": "a@example.com", "comment": "hi"}), "content_id"),
        ];
        for (request, field) in bad {
            assert_fails(lane.call(CREATE, request).await, Code::InvalidArgument, field);
        }
    })
    .await;
}
