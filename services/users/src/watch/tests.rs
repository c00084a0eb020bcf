use std::pin::Pin;

use futures_util::StreamExt as _;
use malla_runtime::auth;
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::store::tests::{open, profile};

const SECOND: Duration = Duration::from_secs(1);

type Stream<'a> = Pin<Box<dyn futures_util::Stream<Item = Result<News, Error>> + Send + 'a>>;

/// What a process of its own would have.
async fn replica(folder: &TempDir) -> Arc<Tokens> {
    let tokens = Tokens::open(open(folder).await, &auth::Config::default(), &Config::default()).await;
    Arc::new(tokens.expect("opened"))
}

async fn next(stream: &mut Stream<'_>) -> News {
    let next = tokio::time::timeout(SECOND, stream.next()).await.expect("in time");
    next.expect("the stream goes on").expect("no error")
}

async fn until_revoked(stream: &mut Stream<'_>) -> Vec<String> {
    tokio::time::timeout(SECOND, async {
        loop {
            let news = next(stream).await;
            if !news.revoked.is_empty() {
                return news.revoked.into_iter().map(|token| token.jti).collect();
            }
        }
    })
    .await
    .expect("within a second")
}

/// Issues a token and revokes it; its id.
async fn revoked(tokens: &Tokens, folder: &TempDir) -> String {
    let database = open(folder).await;
    let user = match database.user_by_name("ana").await.expect("read") {
        Some(user) => user,
        None => database.add_user(profile("ana", "a@x.com"), String::new()).await.expect("stored"),
    };
    let (token, _) = tokens.issue(&user).await.expect("issued");
    let jti = tokens.check(&token).await.expect("valid").jti;
    tokens.revoke(&token).await.expect("revoked");
    jti
}

#[tokio::test]
async fn first_comes_all_that_holds_then_signs_of_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = replica(&folder).await;
    let jti = revoked(&tokens, &folder).await;
    let mut stream: Stream<'_> = Box::pin(watch(tokens, Shutdown::default()));
    let first = next(&mut stream).await;
    assert_eq!((first.keys.len(), first.revoked.len()), (1, 1));
    assert_eq!(first.revoked[0].jti, jti);
    for _ in 0..2 {
        let life = next(&mut stream).await;
        assert!(life.keys.is_empty() && life.revoked.is_empty());
    }
    assert!(PAUSE_MAX < Duration::from_millis(250), "the contract's promise");
}

#[tokio::test]
async fn revocations_of_this_and_of_another_process_arrive_within_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (replica(&folder).await, replica(&folder).await);
    let mut stream: Stream<'_> = Box::pin(watch(here.clone(), Shutdown::default()));
    next(&mut stream).await;
    for replica in [&here, &there] {
        let jti = revoked(replica, &folder).await;
        assert_eq!(until_revoked(&mut stream).await, [jti]);
    }
}

#[tokio::test]
async fn a_slow_watcher_misses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = replica(&folder).await;
    let mut stream: Stream<'_> = Box::pin(watch(tokens.clone(), Shutdown::default()));
    next(&mut stream).await;
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(revoked(&tokens, &folder).await);
    }
    assert_eq!(until_revoked(&mut stream).await, all);
}

#[tokio::test]
async fn draining_ends_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let shutdown = Shutdown::default();
    let mut stream: Stream<'_> = Box::pin(watch(replica(&folder).await, shutdown.clone()));
    next(&mut stream).await;
    shutdown.begin(Duration::ZERO).await;
    let ended = tokio::time::timeout(SECOND, async { while stream.next().await.is_some() {} }).await;
    ended.expect("the stream ends");
}
