//! New comments, handed to those who watch as they come.
//!
//! While somebody watches, one task reads what is new from the store: at once when this process stored a comment,
//! and every `poll_ms` for those of other processes on the same database. The store's order is the only source, so
//! nobody gets a comment twice.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use malla_runtime::places::{Place, Places};
use malla_runtime::shutdown::Shutdown;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, Notify, broadcast};

use crate::config::Config;
use crate::error::Error;
use crate::store::{Comment, Comments};

/// Comments read from the store at a time.
const BATCH: u32 = 256;

/// All watches of a process.
#[derive(Debug)]
pub(crate) struct Feed {
    comments: Comments,
    poll: Duration,
    backlog_max: usize,
    places: Places,
    stored: Notify,
    shutdown: Shutdown,
    watched: Mutex<Watched>,
}

/// The task that reads what is new runs exactly while `contents` is not empty.
#[derive(Debug, Default)]
struct Watched {
    /// Comments up to here have been handed out.
    position: i64,
    contents: HashMap<String, broadcast::Sender<Comment>>,
}

impl Feed {
    pub(crate) fn new(comments: Comments, config: &Config, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            comments,
            poll: Duration::from_millis(config.poll_ms),
            backlog_max: config.watch_backlog_max,
            places: Places::new(config.watchers_max, config.watchers_per_ip_max),
            stored: Notify::new(),
            shutdown,
            watched: Mutex::default(),
        })
    }

    /// Tells that this process has stored a comment.
    pub(crate) fn wake(&self) {
        self.stored.notify_one();
    }

    /// Begins a watch: it gets every comment stored after this returns, and of those that were stored before the call the
    /// ones behind the position `after`, or none.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        content_id: &str,
        after: Option<i64>,
    ) -> Result<Watch, Error> {
        let place = self.places.take(client.map(|client| client.to_string()))?;
        let mut watched = self.watched.lock().await;
        // Bring `position` to now; what is handed out from then on is what this watch has to get.
        if watched.contents.is_empty() {
            watched.position = self.comments.last_position().await?;
            tokio::spawn(self.clone().run());
        } else {
            self.hand_out(&mut watched).await?;
        }
        let sender = watched.contents.entry(content_id.to_owned());
        let comments = sender.or_insert_with(|| broadcast::Sender::new(self.backlog_max)).subscribe();
        let missed = after.filter(|after| *after < watched.position).map(|after| Missed {
            comments: self.comments.clone(),
            content_id: content_id.to_owned(),
            after,
            until: watched.position,
            read: VecDeque::new(),
        });
        Ok(Watch { missed, comments, shutdown: self.shutdown.clone(), _place: place })
    }

    async fn run(self: Arc<Self>) {
        loop {
            let _ = tokio::time::timeout(self.poll, self.stored.notified()).await;
            let mut watched = self.watched.lock().await;
            watched.contents.retain(|_, sender| sender.receiver_count() > 0);
            if watched.contents.is_empty() {
                return;
            }
            if let Err(error) = self.hand_out(&mut watched).await {
                tracing::warn!(%error, "new comments could not be read; trying again");
            }
        }
    }

    /// Cancel safe: a batch is handed out and counted without a pause.
    async fn hand_out(&self, watched: &mut Watched) -> Result<(), Error> {
        loop {
            let batch = self.comments.after(watched.position, BATCH).await?;
            let full = batch.len() == BATCH as usize;
            for comment in batch {
                watched.position = comment.position;
                if let Some(sender) = watched.contents.get(&comment.content_id) {
                    // Fails when the last watcher has just left, which is all right.
                    let _ = sender.send(comment);
                }
            }
            if !full {
                return Ok(());
            }
        }
    }
}

/// What a watch has to get that was stored before it began, read as it is taken.
#[derive(Debug)]
struct Missed {
    comments: Comments,
    content_id: String,
    after: i64,
    /// Up to here; what follows is handed out.
    until: i64,
    read: VecDeque<Comment>,
}

impl Missed {
    /// The next one; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<Comment>, Error> {
        if self.read.is_empty() {
            let mut batch = self.comments.list(&self.content_id, self.after, BATCH).await?;
            batch.retain(|comment| comment.position <= self.until);
            self.read = batch.into();
        }
        let next = self.read.pop_front();
        self.after = next.as_ref().map_or(self.until, |comment| comment.position);
        Ok(next)
    }
}

/// One watch; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    missed: Option<Missed>,
    comments: broadcast::Receiver<Comment>,
    shutdown: Shutdown,
    _place: Place,
}

impl Watch {
    /// The next comment. An error is the last thing a watch has to say.
    pub(crate) async fn next(&mut self) -> Result<Comment, Error> {
        if let Some(missed) = &mut self.missed {
            let next = tokio::select! {
                biased;
                () = self.shutdown.draining() => return Err(Error::ShuttingDown),
                next = missed.next() => next?,
            };
            match next {
                Some(comment) => return Ok(comment),
                None => self.missed = None,
            }
        }
        tokio::select! {
            biased;
            () = self.shutdown.draining() => Err(Error::ShuttingDown),
            comment = self.comments.recv() => comment.map_err(|error| match error {
                RecvError::Lagged(_) => Error::TooSlow,
                RecvError::Closed => Error::ShuttingDown,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
