use malla_storage::testing::Place;

use super::*;
use crate::migrations::Migrator;

/// The comments of one process on the database in `dir`.
pub(crate) async fn open(place: &Place) -> Comments {
    Comments::new(place.open::<Migrator>("comments").await)
}

pub(crate) fn draft(content_id: &str, comment: &str) -> Draft {
    Draft::new("ana@example.com".into(), comment.into(), content_id.into()).expect("valid")
}

async fn comments_on_a_content_are_listed_oldest_first_and_survive_a_restart(place: Place) {
    let mut stored = Vec::new();
    let comments = open(&place).await;
    for text in ["one", "two", "three"] {
        comments.create(draft("other", text)).await.expect("stored");
        stored.push(comments.create(draft("1", text)).await.expect("stored"));
    }
    let comments = open(&place).await;
    assert_eq!(comments.list("1", 0, 10).await.expect("listed"), stored);
    assert_eq!(comments.list("1", stored[0].position, 1).await.expect("listed"), stored[1..2]);
    assert_eq!(comments.list("none", 0, 10).await.expect("listed"), []);
}

async fn two_processes_storing_at_once_lose_nothing_and_share_one_order(place: Place) {
    const EACH: usize = 10;
    let processes = [open(&place).await, open(&place).await];
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let comments = processes[task % 2].clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    comments.create(draft("1", "x")).await.expect("stored");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let positions: Vec<i64> =
        processes[0].list("1", 0, 1_000).await.expect("listed").iter().map(|comment| comment.position).collect();
    assert_eq!(positions, (1..=8 * EACH as i64).collect::<Vec<_>>());
    assert_eq!(processes[1].last_position().await.expect("read"), 8 * EACH as i64);
}

malla_storage::on_every_database![
    comments_on_a_content_are_listed_oldest_first_and_survive_a_restart,
    two_processes_storing_at_once_lose_nothing_and_share_one_order,
];
