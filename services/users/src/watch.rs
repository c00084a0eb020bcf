//! The news other services need to judge tokens by themselves: keys and revocations, in time and without gaps.
//!
//! Each watcher reads the database for itself, so a revocation made in another process arrives too, and a slow
//! watcher loses nothing: it goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, try_unfold};
use malla_runtime::shutdown::Shutdown;
use tokio::sync::watch::Receiver;

use crate::error::Error;
use crate::store::{RevokedToken, SigningKey};
use crate::tokens::Tokens;

/// Longest pause between two looks at the database: what the contract promises, less the time a look takes.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// What has changed since the last time.
#[derive(Debug)]
pub(crate) struct News {
    /// All keys if they changed, else none.
    pub(crate) keys: Vec<SigningKey>,
    /// New revocations; the first time, all in force.
    pub(crate) revoked: Vec<RevokedToken>,
}

struct Watcher {
    tokens: Arc<Tokens>,
    revocations: Receiver<()>,
    shutdown: Shutdown,
    /// Whether the first look is still to come.
    new: bool,
    kids: Vec<String>,
    seq: i64,
}

/// News until the process drains: at once what holds now, then what changes, and nothing new as a sign of life.
pub(crate) fn watch(tokens: Arc<Tokens>, shutdown: Shutdown) -> impl Stream<Item = Result<News, Error>> + Send {
    let revocations = tokens.revocations();
    let watcher = Watcher { tokens, revocations, shutdown, new: true, kids: Vec::new(), seq: 0 };
    try_unfold(watcher, async |mut watcher| {
        if !std::mem::take(&mut watcher.new) && !watcher.pause().await {
            return Ok(None);
        }
        Ok(Some((watcher.look().await?, watcher)))
    })
}

impl Watcher {
    /// Waits until it is time to look again; false when the process drains.
    async fn pause(&mut self) -> bool {
        tokio::select! {
            () = self.shutdown.draining() => false,
            _ = self.revocations.changed() => true,
            () = tokio::time::sleep(PAUSE_MAX) => true,
        }
    }

    async fn look(&mut self) -> Result<News, Error> {
        let mut keys = self.tokens.keys().await?;
        let kids: Vec<String> = keys.iter().map(|key| key.kid.clone()).collect();
        if kids == self.kids {
            keys.clear();
        }
        self.kids = kids;
        let revoked = self.tokens.revoked_since(self.seq).await?;
        self.seq = revoked.last().map_or(self.seq, |row| row.seq);
        Ok(News { keys, revoked })
    }
}

#[cfg(test)]
mod tests;
