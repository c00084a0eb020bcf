use std::pin::Pin;

use futures_util::StreamExt as _;
use malla_runtime::auth;
use malla_storage::testing::Place;

use super::*;
use crate::config::Config;
use crate::store::tests::{open, profile};

const SECOND: Duration = Duration::from_secs(1);

type Stream<'a> = Pin<Box<dyn futures_util::Stream<Item = Result<News, Error>> + Send + 'a>>;

/// What a process of its own would have.
async fn replica(place: &Place) -> Arc<Tokens> {
    let tokens = Tokens::open(open(place).await, &auth::Config::default(), &Config::default()).await;
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
async fn revoked(tokens: &Tokens, place: &Place) -> String {
    let database = open(place).await;
    let user = match database.user_by_name("ana").await.expect("read") {
        Some(user) => user,
        None => database.add_user(profile("ana", "a@x.com"), String::new()).await.expect("stored"),
    };
    let (token, _) = tokens.issue(&user).await.expect("issued");
    let jti = tokens.check(&token).await.expect("valid").jti;
    tokens.revoke(&token).await.expect("revoked");
    jti
}

async fn first_comes_all_that_holds_then_signs_of_life(place: Place) {
    let tokens = replica(&place).await;
    let jti = revoked(&tokens, &place).await;
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

async fn revocations_of_this_and_of_another_process_arrive_within_a_second(place: Place) {
    let (here, there) = (replica(&place).await, replica(&place).await);
    let mut stream: Stream<'_> = Box::pin(watch(here.clone(), Shutdown::default()));
    next(&mut stream).await;
    for replica in [&here, &there] {
        let jti = revoked(replica, &place).await;
        assert_eq!(until_revoked(&mut stream).await, [jti]);
    }
}

async fn a_slow_watcher_misses_nothing(place: Place) {
    let tokens = replica(&place).await;
    let mut stream: Stream<'_> = Box::pin(watch(tokens.clone(), Shutdown::default()));
    next(&mut stream).await;
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(revoked(&tokens, &place).await);
    }
    assert_eq!(until_revoked(&mut stream).await, all);
}

async fn draining_ends_the_stream(place: Place) {
    let shutdown = Shutdown::default();
    let mut stream: Stream<'_> = Box::pin(watch(replica(&place).await, shutdown.clone()));
    next(&mut stream).await;
    shutdown.begin(Duration::ZERO).await;
    let ended = tokio::time::timeout(SECOND, async { while stream.next().await.is_some() {} }).await;
    ended.expect("the stream ends");
}

malla_storage::on_every_database![
    first_comes_all_that_holds_then_signs_of_life,
    revocations_of_this_and_of_another_process_arrive_within_a_second,
    a_slow_watcher_misses_nothing,
    draining_ends_the_stream,
];
